"""The lists that OpenRouter publishes: models, their endpoints, providers.

Source: https://openrouter.ai/docs/api-reference/list-available-models
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from flask import Blueprint, jsonify, request
from flask.typing import ResponseReturnValue
from werkzeug.datastructures import MultiDict

from .catalogue import EMBEDDING_MODELS, find_model, listed_models
from .emulator import get_emulator
from .errors import APIError
from .generations import PROVIDER
from .model import Model
from .oauth import require_key

MAX_PAGE = 1_000

bp: Final = Blueprint("listings", __name__)


@bp.get("/api/v1/models")
def list_models() -> ResponseReturnValue:
    """List the models, with or without a key."""
    return _models_page(_chosen(request.args), request.args)


@bp.get("/api/v1/models/user")
def list_models_of_user() -> ResponseReturnValue:
    """List the models that the owner of the key may use: here, all of them."""
    require_key()
    return _models_page(_chosen(request.args), request.args)


@bp.get("/api/v1/embeddings/models")
def list_embedding_models() -> ResponseReturnValue:
    """List the models of ``/embeddings``, with or without a key."""
    return _models_page(EMBEDDING_MODELS, request.args)


@bp.get("/api/v1/models/count")
def count_models() -> ResponseReturnValue:
    """Return how many models ``/models`` lists."""
    return jsonify({"data": {"count": len(_chosen(request.args))}})


@bp.get("/api/v1/model/<author>/<slug>")
def show_model(author: str, slug: str) -> ResponseReturnValue:
    """Return one entry of the list."""
    return jsonify({"data": _listed(author, slug).as_json()})


@bp.get("/api/v1/models/<author>/<slug>/endpoints")
def list_endpoints(author: str, slug: str) -> ResponseReturnValue:
    """Return the endpoints of a model. Routers and aliases have none of their own."""
    model = _listed(author, slug)
    entry = model.as_json()
    members = ("id", "name", "created", "description", "architecture")
    endpoints = [] if model.target is not None else [_endpoint(model)]
    return jsonify({"data": {**{m: entry[m] for m in members}, "endpoints": endpoints}})


@bp.get("/api/v1/providers")
def list_providers() -> ResponseReturnValue:
    """List the providers: the emulator alone."""
    provider = {
        "name": PROVIDER,
        "slug": PROVIDER.lower(),
        "privacy_policy_url": None,
        "terms_of_service_url": None,
        "status_page_url": None,
        "headquarters": None,
        "datacenters": None,
    }
    return jsonify({"data": [provider]})


def _chosen(arguments: MultiDict[str, str]) -> list[Model]:
    """Return the models that the query asks for. Without a choice, those that write text."""
    outputs = set(arguments.get("output_modalities", "text").split(","))
    parameters = set(filter(None, arguments.get("supported_parameters", "").split(",")))
    every = [*listed_models(get_emulator().config), *EMBEDDING_MODELS]
    return [
        model
        for model in every
        if ("all" in outputs or outputs & set(model.output_modalities))
        and parameters <= set(model.parameters())
    ]


def _models_page(models: Sequence[Model], arguments: MultiDict[str, str]) -> ResponseReturnValue:
    offset = _whole_number(arguments.get("offset"), default=0, least=0)
    limit = _whole_number(arguments.get("limit"), default=MAX_PAGE, least=1)
    following = offset + limit
    next_page = f"{request.path}?offset={following}&limit={limit}"
    return jsonify(
        {
            "data": [model.as_json() for model in models[offset:following]],
            "total_count": len(models),
            "links": {"next": next_page if following < len(models) else None},
        }
    )


def _whole_number(value: str | None, *, default: int, least: int) -> int:
    if value is None:
        return default
    # int() refuses more than 4,300 digits.
    if not (value.isascii() and value.isdigit() and len(value) <= 400) or int(value) < least:
        raise APIError(400)
    return min(int(value), MAX_PAGE) if least else int(value)


def _listed(author: str, slug: str) -> Model:
    """Return the model with this id.

    :raises APIError: 404 if there is none.
    """
    config, model_id = get_emulator().config, f"{author}/{slug}"
    listed = {model.id: model for model in [*EMBEDDING_MODELS, *listed_models(config)]}
    model = listed.get(model_id) or find_model(model_id, config)
    if model is None:
        raise APIError(404)
    return model


def _endpoint(model: Model) -> dict[str, Any]:
    entry = model.as_json()
    return {
        "name": f"{PROVIDER} | {model.id}",
        "model_id": model.id,
        "model_name": model.name,
        "context_length": model.context_length,
        "pricing": {**entry["pricing"], "discount": 0},
        # The one documented name that is no real provider. Strict clients know no other.
        "provider_name": "FakeProvider",
        "tag": PROVIDER.lower(),
        "quantization": "unknown",
        "max_completion_tokens": entry["top_provider"]["max_completion_tokens"],
        "max_prompt_tokens": None,
        "supported_parameters": entry["supported_parameters"],
        "status": 0,
        "native_tools": {},
        "service_tier": None,
        "supports_diarization": False,
        "supports_tool_choice": {"auto": True, "none": True, "required": True, "function": True},
        "uptime_last_5m": 100,
        "uptime_last_30m": 100,
        "uptime_last_1d": 100,
        "supports_implicit_caching": False,
        "latency_last_30m": None,
        "throughput_last_30m": None,
    }
