"""Errors that OpenRouter was seen to answer in the field, as named faults."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from typing import Any

from .chunks import to_json
from .errors import KEYS_PAGE, MALFORMED_JSON, invalid_type, spent_key_message, zod_body

Values = dict[str, Any]

CHAT = "/api/v1/chat/completions"
EVERYTHING = "/api/v1/*"

_CREDITS_PAGE = "https://openrouter.ai/settings/credits"
_PRIVACY_PAGE = "https://openrouter.ai/settings/privacy"
_ID = "gen-0123456789abcdef01234567"
_FLAGGED = "my credit card limit was reached"


@dataclass(frozen=True)
class NamedFault:
    """A named fault: one sentence for people, and the values of its ``Fault``.

    ``values`` returns them for a time in seconds since the epoch. ``times`` is how many matching
    requests it hits by default; ``None`` is all of them.
    """

    sentence: str
    values: Callable[[float], Values]
    path: str = CHAT
    method: str | None = None
    times: int | None = 1


def _error(
    status: int,
    message: str,
    metadata: Mapping[str, Any] | None = None,
    *,
    headers: Mapping[str, str] | None = None,
    sent_as: int | None = None,
) -> Callable[[float], Values]:
    """Return the values of an error. A function in the metadata is called with the time."""

    def values(now: float) -> Values:
        error: Values = {"code": status, "message": message}
        if metadata is not None:
            error["metadata"] = {
                name: value(now) if callable(value) else value for name, value in metadata.items()
            }
        return {"status": sent_as or status, "body": {"error": error}, "headers": headers or {}}

    return values


def _relayed(status: int, provider: str, raw: str, **metadata: Any) -> Callable[[float], Values]:
    """Return the values of a model provider's error, relayed."""
    named = {"raw": raw, "provider_name": provider, **metadata}
    return _error(status, "Provider returned error", named)


def _excluded(reason: str, words: str) -> Callable[[float], Values]:
    """Return the values of a 404 because settings of the account exclude the only endpoint."""
    return _error(
        404,
        "0 endpoints out of 1 requested are available matching your guardrail restrictions and "
        "data policy. We removed them for the following reasons (an endpoint may have matched "
        f"multiple reasons):\n{words}: 1 endpoint excluded",
        {"ineligibility_reasons": [{"reason": reason, "endpoint_count": 1}]},
    )


def _only_error(error: Callable[[float], Values]) -> Callable[[float], Values]:
    """Return the values of a 200 whose body, or whose first event, has nothing but an error."""

    def values(now: float) -> Values:
        body = {"id": _ID, **error(now)["body"]}
        event = f": OPENROUTER PROCESSING\n\ndata: {to_json(body)}\n\n"
        return {"status": 200, "body": body, "stream_body": event}

    return values


def _budget(source: str, scope: str) -> Callable[[float], Values]:
    metadata = {"limit_source": source, "scope": scope, "limit_usd": 500, "spend_usd": 500.12}
    return _error(403, "Budget limit exceeded", {**metadata, "resets_at": _resets_at})


def _page(status: int, title: str) -> Callable[[float], Values]:
    html = f"<!DOCTYPE html><html><head><title>{title}</title></head><body>{title}</body></html>"
    headers = {"Content-Type": "text/html; charset=UTF-8"}
    return lambda _: {"status": status, "body": html, "headers": headers}


def _reset_header(now: float) -> Values:
    values = _error(429, "Rate limit exceeded: limit_rpm/openai/gpt-4o-mini")(now)
    return {**values, "headers": {"X-RateLimit-Reset": str(int((now + 42) * 1000))}}


def _midnight_after(now: float) -> datetime:
    today = datetime.fromtimestamp(now, timezone.utc)
    return today.replace(hour=0, minute=0, second=0, microsecond=0) + timedelta(days=1)


def _daily_limit(now: float) -> Values:
    reset = int(_midnight_after(now).timestamp() * 1000)
    return {
        "X-RateLimit-Limit": "50",
        "X-RateLimit-Remaining": "0",
        "X-RateLimit-Reset": str(reset),
    }


def _resets_at(now: float) -> str:
    return _midnight_after(now).strftime("%Y-%m-%dT%H:%M:%S.000Z")


ERRORS: Mapping[str, NamedFault] = {
    # 401
    "relayed_401": NamedFault(
        "A 401 of the model provider, relayed: the visitor's key is good.",
        _relayed(401, "Anthropic", '{"error":"invalid x-api-key"}', is_byok=False),
    ),
    "passing_401": NamedFault(
        "One chat request gets 401 `User not found.`, while `/key` says 200.",
        _error(401, "User not found."),
    ),
    "chat_401": NamedFault(
        "Every chat request gets 401 `User not found.`, while `/key` says 200.",
        _error(401, "User not found."),
        times=None,
    ),
    "outage_401": NamedFault(
        "Every request to the API gets 401 `User not found.`, as in an outage of OpenRouter.",
        _error(401, "User not found."),
        EVERYTHING,
        times=None,
    ),
    "outage_500": NamedFault(
        "Every request to the API gets 500, as in an outage of OpenRouter.",
        _error(500, "Internal Server Error"),
        EVERYTHING,
        times=None,
    ),
    "error_401_in_200": NamedFault(
        "A 200 whose JSON, or whose first event, has nothing but an error with `code` 401.",
        _only_error(_error(401, "User not found.")),
    ),
    # 402
    "relayed_402": NamedFault(
        "A 402 of the model provider, relayed: the visitor's credit is not spent.",
        _relayed(402, "Venice", '{"error":"Insufficient balance"}', is_byok=False),
    ),
    "fewer_tokens_402": NamedFault(
        "A 402 that asks for more credits or fewer `max_tokens`.",
        _error(
            402,
            "This request requires more credits, or fewer max_tokens. You requested up to 4096 "
            f"tokens, but can only afford 3919. To increase, visit {_CREDITS_PAGE} and upgrade to "
            "a paid account",
        ),
    ),
    "weight_402": NamedFault(
        "A 402 with the reason `weight_exceeds_budget`: a lower `max_tokens` would pass.",
        _error(
            402,
            "Insufficient credits",
            {"limit_source": "openrouter_credits", "reason": "weight_exceeds_budget"},
        ),
    ),
    "prompt_tokens_402": NamedFault(
        "A 402 because the prompt costs more than the key's monthly limit has left.",
        _error(
            402,
            f"Prompt tokens limit exceeded: 230799 > 91442. To increase, visit {KEYS_PAGE} and "
            "create a key with a higher monthly limit",
        ),
    ),
    "in_flight_402": NamedFault(
        "A 402 for too many requests in flight, with `Retry-After`: it passes by itself.",
        _error(
            402,
            "Insufficient credits for the requests in flight",
            {
                "limit_source": "openrouter_in_flight_budget",
                "reason": "in_flight_budget_exhausted",
            },
            headers={"Retry-After": "5"},
        ),
    ),
    "null_provider_402": NamedFault(
        "A 402 of OpenRouter itself, whose metadata has a `provider_name` of null.",
        _error(
            402,
            f"Insufficient credits. Add more using {_CREDITS_PAGE}",
            {"provider_name": None, "limit_source": "openrouter_credits"},
        ),
    ),
    "upstream_limit_402": NamedFault(
        "A 402 whose `limit_source` is the model provider's: the visitor's credit is not spent.",
        _relayed(402, "Venice", "no credit", limit_source="upstream_provider_credits"),
    ),
    # 403
    "key_limit_403": NamedFault(
        "A 403 because the key's daily limit is spent.",
        _error(403, spent_key_message("daily")),
    ),
    "key_budget_403": NamedFault(
        "A 403 `Budget limit exceeded` of the key, with the time when it resets.",
        _budget("openrouter_key_limit", "key"),
    ),
    "workspace_budget_403": NamedFault(
        "A 403 `Budget limit exceeded` of the workspace, with the time when it resets.",
        _budget("openrouter_workspace_budget", "workspace"),
    ),
    "workspace_admin_403": NamedFault(
        "A 403 that tells the visitor to contact the workspace's admin.",
        _error(403, "Workspace monthly budget of $500.00 exceeded. Contact your workspace admin."),
    ),
    "guardrail_budget_403": NamedFault(
        "A 403 `Budget limit exceeded` of a guardrail, with the time when it resets.",
        _budget("openrouter_guardrail_budget", "guardrail"),
    ),
    "moderation_403": NamedFault(
        "A 403 of moderation whose text quotes the visitor on a credit card limit.",
        _error(
            403,
            f"Input was flagged for harassment: {_FLAGGED}",
            {
                "reasons": ["harassment"],
                "flagged_input": _FLAGGED,
                "provider_name": "OpenAI",
                "model_slug": "openai/gpt-4o-mini",
            },
        ),
    ),
    "content_policy_403": NamedFault(
        "A 403 `content_policy_violation` of the model provider.",
        _relayed(
            403,
            "Google",
            '{"error":"PROHIBITED_CONTENT"}',
            error_type="content_policy_violation",
            provider_code="PROHIBITED_CONTENT",
        ),
    ),
    "age_403": NamedFault(
        "A 403 because the visitor has not confirmed their age at OpenRouter.",
        _error(
            403,
            "This model requires you to complete the following before use: 18+ age confirmation. "
            "Confirm at https://openrouter.ai/settings/preferences.",
            {"missing_attestation_types": ["age_18plus"], "provider_name": None},
        ),
    ),
    # 400 and 404
    "context_length_400": NamedFault(
        "A 400 because the conversation is longer than the model's context.",
        _error(
            400,
            "This endpoint's maximum context length is 40960 tokens. However, you requested about "
            "42988 tokens (38892 of text input, 4096 in the output). Please reduce the length of "
            "either one.",
        ),
    ),
    "relayed_context_length_400": NamedFault(
        "A 400 of the model provider, relayed, whose code is `context_length_exceeded`.",
        _relayed(400, "OpenAI", '{"error":{"code":"context_length_exceeded"}}'),
    ),
    "zod_400": NamedFault(
        "A 400 `ZodError`, which has no `code`.",
        lambda _: {"status": 400, "body": zod_body(invalid_type("messages", "array"))},
    ),
    "text_400": NamedFault(
        "A 400 in plain text instead of JSON.",
        lambda _: {"status": 400, "body": MALFORMED_JSON},
    ),
    "data_policy_404": NamedFault(
        "A 404 because the visitor's privacy settings allow no provider of the model.",
        _error(
            404,
            "No endpoints found matching your data policy (Paid model training). Configure: "
            f"{_PRIVACY_PAGE}",
        ),
    ),
    "guardrail_404": NamedFault(
        "A 404 because the guardrails of the visitor's account allow no provider of the model.",
        _error(
            404,
            "No endpoints available matching your guardrail restrictions and data policy. "
            f"Configure: {_PRIVACY_PAGE}",
        ),
    ),
    "zdr_404": NamedFault(
        "A 404 whose `ineligibility_reasons` name the visitor's privacy settings.",
        _excluded("zdr-violation-by-account", "ZDR violation (account settings)"),
    ),
    "blocked_model_404": NamedFault(
        "A 404 whose `ineligibility_reasons` name a guardrail.",
        _excluded("model-ignored-by-guardrail", "Model blocked by guardrail"),
    ),
    "ignored_providers_404": NamedFault(
        "A 404 because the visitor's settings ignore all providers of the model.",
        _error(
            404,
            "All providers have been ignored. To change your default ignored providers, visit: "
            f"{_PRIVACY_PAGE}",
        ),
    ),
    "create_code_404": NamedFault(
        "Creating a code gets the website's 404 page.",
        _page(404, "Not Found | OpenRouter"),
        "/api/v1/auth/keys/code",
    ),
    # 429
    "free_models_per_day_429": NamedFault(
        "A 429 of the free models' daily allowance; only its metadata says when it resets.",
        _error(429, "Rate limit exceeded: free-models-per-day", {"headers": _daily_limit}),
    ),
    "retry_after_in_body_429": NamedFault(
        "A 429 of the model provider with `retry_after_seconds` in its metadata only.",
        _relayed(429, "DeepInfra", "temporarily rate-limited upstream", retry_after_seconds=42),
    ),
    "reset_header_429": NamedFault(
        "A 429 with the header `X-RateLimit-Reset` (milliseconds) and without `Retry-After`.",
        _reset_header,
    ),
    "rate_limited_200": NamedFault(
        "A 200 with a rate limit error as JSON, also for a streamed request.",
        _error(429, "Rate limit exceeded: free-models-per-min", sent_as=200),
    ),
    # 5xx
    "privacy_502": NamedFault(
        "A 502 because the visitor's privacy settings forbid training on paid models.",
        _error(502, "Paid model training violation (account settings)"),
    ),
    "error_200": NamedFault(
        "A 200 whose JSON, or whose first event, has nothing but an `id` and an error.",
        _only_error(_relayed(502, "Together", "overloaded")),
    ),
    "html_524": NamedFault(
        "A 524 with an HTML page of the network in front of OpenRouter.",
        _page(524, "openrouter.ai | 524: A timeout occurred"),
    ),
}
