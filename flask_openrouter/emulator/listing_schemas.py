"""The schemas of the OpenAPI document for the lists: models, endpoints, providers, generations."""

from __future__ import annotations

from typing import Any, Final

from .schemas import (
    AMOUNT,
    COUNT,
    DATE_TIME,
    FLAG,
    NOTHING,
    TEXT,
    Schema,
    closed_object,
    list_of,
    optional,
    or_null,
    ref,
)

_PRICE: Final[Schema] = {
    "type": "string",
    "pattern": r"^(-1|\d+(\.\d+)?)$",
    "description": "USD for one token. -1: the model that the router chooses sets the price",
}
_ARCHITECTURE = closed_object(
    modality=TEXT,
    input_modalities=list_of(TEXT),
    output_modalities=list_of(TEXT),
    tokenizer=TEXT,
    instruct_type=NOTHING,
)
_PRICING = closed_object(prompt=_PRICE, completion=_PRICE, request=_PRICE, image=_PRICE)
_MODEL = optional(
    closed_object(
        id=TEXT,
        canonical_slug=TEXT,
        name=TEXT,
        created=COUNT,
        description=TEXT,
        context_length=COUNT,
        architecture=_ARCHITECTURE,
        pricing=_PRICING,
        top_provider=closed_object(
            context_length=COUNT, max_completion_tokens=or_null(COUNT), is_moderated=FLAG
        ),
        per_request_limits=NOTHING,
        supported_parameters=list_of(TEXT),
        supported_voices=NOTHING,
        default_parameters=NOTHING,
        hugging_face_id=NOTHING,
        knowledge_cutoff=NOTHING,
        expiration_date=or_null(TEXT),
        links=closed_object(details=TEXT),
    ),
    reasoning=closed_object(mandatory=FLAG, default_enabled=FLAG),
    alias_target=closed_object(slug=TEXT, name=TEXT),
)
_ENDPOINT = closed_object(
    name=TEXT,
    model_id=TEXT,
    model_name=TEXT,
    context_length=COUNT,
    pricing=optional(_PRICING, discount=COUNT),
    provider_name={"const": "FakeProvider"},
    tag=TEXT,
    quantization={"const": "unknown"},
    max_completion_tokens=or_null(COUNT),
    max_prompt_tokens=NOTHING,
    supported_parameters=list_of(TEXT),
    status={"const": 0},
    native_tools={"type": "object", "maxProperties": 0},
    service_tier=NOTHING,
    supports_diarization=FLAG,
    supports_tool_choice=closed_object(auto=FLAG, none=FLAG, required=FLAG, function=FLAG),
    uptime_last_5m=COUNT,
    uptime_last_30m=COUNT,
    uptime_last_1d=COUNT,
    supports_implicit_caching=FLAG,
    latency_last_30m=NOTHING,
    throughput_last_30m=NOTHING,
)
_ENDPOINTS = closed_object(
    id=TEXT,
    name=TEXT,
    created=COUNT,
    description=TEXT,
    architecture=_ARCHITECTURE,
    endpoints=list_of(_ENDPOINT),
)
_PROVIDER = closed_object(
    name=TEXT,
    slug=TEXT,
    privacy_policy_url=NOTHING,
    terms_of_service_url=NOTHING,
    status_page_url=NOTHING,
    headquarters=NOTHING,
    datacenters=NOTHING,
)
_NOT_EMULATED = (
    *("upstream_id", "upstream_inference_cost", "cache_discount", "app_id", "moderation_latency"),
    *("num_media_prompt", "num_input_audio_prompt", "num_fetches", "web_search_engine"),
    *("external_user", "session_id", "request_id", "service_tier", "preset_id", "workspace_id"),
    *("provider_responses", "response_cache_source_id"),
)
_COUNTS = (
    *("latency", "generation_time", "tokens_prompt", "tokens_completion", "native_tokens_prompt"),
    *("native_tokens_completion", "native_tokens_completion_images", "native_tokens_reasoning"),
    *("native_tokens_cached", "num_media_completion"),
)
_GENERATION_MEMBERS: dict[str, Any] = {
    **dict.fromkeys(_NOT_EMULATED, NOTHING),
    **dict.fromkeys(_COUNTS, COUNT),
}
_GENERATION = closed_object(
    id=TEXT,
    total_cost=AMOUNT,
    usage=AMOUNT,
    created_at=DATE_TIME,
    model=TEXT,
    router=or_null(TEXT),
    api_type={"type": "string", "enum": ["completions", "embeddings"]},
    streamed=FLAG,
    cancelled=FLAG,
    provider_name=TEXT,
    finish_reason=or_null(TEXT),
    native_finish_reason=or_null(TEXT),
    num_search_results=or_null(COUNT),
    origin=TEXT,
    http_referer=or_null(TEXT),
    user_agent=or_null(TEXT),
    is_byok={"const": False},
    data_region={"const": "global"},
    **_GENERATION_MEMBERS,
)

LISTING_SCHEMAS: Final[dict[str, Schema]] = {
    "Model": _MODEL,
    "Models": closed_object(
        data=list_of(ref("Model")), total_count=COUNT, links=closed_object(next=or_null(TEXT))
    ),
    "OneModel": closed_object(data=ref("Model")),
    "ModelCount": closed_object(data=closed_object(count=COUNT)),
    "Endpoints": closed_object(data=_ENDPOINTS),
    "Providers": closed_object(data=list_of(_PROVIDER)),
    "Generation": closed_object(data=_GENERATION),
}
