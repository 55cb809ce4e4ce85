"""The class and the reason of an error, from its status, its codes and OpenRouter's own phrases.

Codes and metadata decide where there are any. Words decide only where a message *begins* with a
fixed phrase of OpenRouter: further on, it may quote the visitor or the provider of a model.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Final

from ..errors import (
    APIError,
    BadRequestError,
    ConflictError,
    ForbiddenError,
    KeyRejectedError,
    MethodNotAllowedError,
    NotFoundError,
    OutOfCreditError,
    PayloadTooLargeError,
    ProviderError,
    RateLimitError,
    RequestTimeoutError,
    ServerError,
    UnprocessableError,
)
from .models import parse_leniently
from .phrases import limit_in, setting_in

_BY_STATUS: Final[Mapping[int, type[APIError]]] = MappingProxyType(
    {
        400: BadRequestError,
        401: KeyRejectedError,
        402: OutOfCreditError,
        403: ForbiddenError,
        404: NotFoundError,
        405: MethodNotAllowedError,
        408: RequestTimeoutError,
        409: ConflictError,
        413: PayloadTooLargeError,
        422: UnprocessableError,
        429: RateLimitError,
    }
)
#: Members of ``metadata`` that tell an error relayed from the provider of a model (OpenRouter's API
#: reference, "Errors"). In an error of OpenRouter's own they are absent, null or empty.
_OF_A_PROVIDER: Final = ("provider_name", "provider_code", "provider_error_code", "raw")

#: The words of ``limit_source`` that name a limit on requests, and the reasons.
_RATE_LIMITS: Final = (
    ("in_flight", "in_flight_budget"),
    ("free_tier_daily", "free_daily"),
    ("free_tier_per_minute", "free_per_minute"),
    ("openrouter_shared_capacity", "shared_capacity"),
)
#: The words of ``limit_source`` or ``scope`` that name a limit on spending, and the reasons.
_BUDGETS: Final = (
    ("guardrail", "guardrail_budget"),
    ("workspace", "workspace_budget"),
    ("key", "key_limit"),
    ("credit", "account"),
    ("budget", "account"),
)
_SPENT: Final = ("key_limit", "workspace_budget", "guardrail_budget")
#: Codes with which OpenRouter itself forbids a request, though it may name the provider, too.
_FORBIDDEN: Final = MappingProxyType(
    {
        "moderation": "moderation",
        "content_policy_violation": "content_policy",
        "refusal": "refusal",
        "guardrail": "guardrail",
    }
)
#: A category for any 403, so it decides last.
_PERMISSION: Final = {"permission_denied", "permission_error"}
_TOO_LONG: Final = {"context_length_exceeded", "string_too_long"}
#: The statuses that codes in words stand for, where an error inside a 200 has no number:
#: OpenRouter's error types, then those of the other forms of its API.
_STATUS_OF_CODE: Final = MappingProxyType(
    {
        **dict.fromkeys(("invalid_request", "invalid_prompt", "max_tokens_exceeded"), 400),
        **dict.fromkeys(("token_limit_exceeded", *_TOO_LONG), 400),
        "authentication": 401,
        "payment_required": 402,
        **dict.fromkeys((*_FORBIDDEN, *_PERMISSION), 403),
        "not_found": 404,
        "timeout": 408,
        "payload_too_large": 413,
        "unprocessable": 422,
        "rate_limit_exceeded": 429,
        "server": 500,
        "provider_unavailable": 502,
        "provider_overloaded": 529,
        "invalid_request_error": 400,
        "authentication_error": 401,
        "billing_error": 402,
        "not_found_error": 404,
        "rate_limit_error": 429,
        "server_error": 500,
        "overloaded_error": 529,
    }
)

#: Words of ``ineligibility_reasons`` that name a privacy setting, unless a guardrail has it.
_PRIVATE: Final = ("by-account", "zdr", "training")
#: How a ``limit_source`` begins that is a limit of the model's provider.
_UPSTREAM: Final = ("upstream", "provider")


@dataclass(frozen=True, slots=True)
class Cause:
    """What went wrong: the class of the error, and its reason."""

    kind: type[APIError]
    reason: str | None = None


def status_of(error: Mapping[str, Any]) -> int:
    """Return the status that an error inside a 200 stands for; 502 if it has no valid one."""
    for name in ("code", "http_status", "status"):
        value = error.get(name)
        if isinstance(value, str) and re.fullmatch("[0-9]{3}", value):
            value = int(value)
        if isinstance(value, int | float) and not isinstance(value, bool) and value in _ERRORS:
            return int(value)
    for code in _codes(error):
        if code in _STATUS_OF_CODE:
            return _STATUS_OF_CODE[code]
    return 403 if _is_moderated(metadata_of(error)) else 502


_ERRORS: Final = range(400, 600)


def cause_of(status: int, error: Mapping[str, Any]) -> Cause:
    """Return the cause of an error that has this status.

    :param error: OpenRouter's error object.
    """
    metadata = metadata_of(error)
    words = error.get("message")
    # OpenRouter's phrases are short; the rest only takes time.
    words = words[:2000].lstrip() if isinstance(words, str) else ""
    codes = set(_codes(error))
    # Decided before providers and limits: it names a provider, too, and may quote the visitor.
    if status in (400, 403) and _is_moderated(metadata):
        return Cause(ForbiddenError, "moderation")
    if status == 403:
        if metadata.get("patterns"):
            return Cause(ForbiddenError, "guardrail")
        for code in sorted(codes & _FORBIDDEN.keys()):
            return Cause(ForbiddenError, _FORBIDDEN[code])
    usual = _BY_STATUS.get(status) or (ServerError if status >= 500 else APIError)
    setting = _setting(metadata, words)
    if setting is not None:
        return Cause(usual, setting)
    kind, reason = limit_in(status, words)
    limit = _limit(status, metadata, codes, reason)
    if limit is not None:
        return limit
    if reason is None and (codes | _relayed_codes(metadata)) & _TOO_LONG:
        reason = "context_length"
    if _names_provider(metadata) or _source(metadata).startswith(_UPSTREAM):
        return Cause(ProviderError, reason if reason == "context_length" else None)
    if reason is None and usual is ForbiddenError and codes & _PERMISSION:
        reason = "permission"
    kind = kind or usual
    if kind is OutOfCreditError and reason in (None, "account"):
        reason = _scope(metadata) or "account"
    return Cause(kind, reason)


def _setting(metadata: Mapping[str, Any], words: str) -> str | None:
    """Return the reason if a setting of the visitor's account excludes the model."""
    if metadata.get("missing_attestation_types"):
        return "permission"
    found = metadata.get("ineligibility_reasons")
    reasons = [
        each.get("reason")
        for each in (found if isinstance(found, list) else ())
        if isinstance(each, Mapping)
    ]
    names = [each.lower() for each in reasons if isinstance(each, str)]
    own = [name for name in names if "guardrail" not in name]
    if any(word in name for name in own for word in _PRIVATE):
        return "privacy"
    if len(own) < len(names):
        return "guardrail"
    return setting_in(words)


def _limit(
    status: int, metadata: Mapping[str, Any], codes: set[str], said: str | None
) -> Cause | None:
    """Return the cause if the codes name one of OpenRouter's own limits."""
    source = _source(metadata)
    if status == 429 and source == "upstream_provider_shared_pool":
        kind = ProviderError if _names_provider(metadata) else RateLimitError
        return Cause(kind, "shared_capacity")
    if source.startswith(_UPSTREAM):
        source = ""
    if status in (402, 403, 429):
        if "in_flight_budget_exhausted" in codes or said == "in_flight_budget":
            return Cause(RateLimitError, "in_flight_budget")
        for name, reason in _RATE_LIMITS:
            if name in source:
                return Cause(RateLimitError, reason)
    if status in (402, 403):
        if "weight_exceeds_budget" in codes:
            return Cause(OutOfCreditError, "max_tokens")
        for name, reason in _BUDGETS:
            if name in source:
                if said == "max_tokens" or (said in _SPENT and reason == "account"):
                    reason = said
                elif name == "budget":
                    reason = _scope(metadata) or reason
                return Cause(OutOfCreditError, reason)
    return None


def _is_moderated(metadata: Mapping[str, Any]) -> bool:
    return bool(metadata.get("reasons") or metadata.get("flagged_input"))


def _names_provider(metadata: Mapping[str, Any]) -> bool:
    return any(metadata.get(name) for name in _OF_A_PROVIDER)


def _source(metadata: Mapping[str, Any]) -> str:
    source = metadata.get("limit_source")
    return source if isinstance(source, str) else ""


def _scope(metadata: Mapping[str, Any]) -> str | None:
    """Return whose budget is spent, if the metadata say so in ``scope``."""
    scope = metadata.get("scope")
    if not isinstance(scope, str):
        return None
    return next((reason for name, reason in _BUDGETS[:3] if name in scope), None)


def metadata_of(error: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return the error's ``metadata``; empty if it has none."""
    metadata = error.get("metadata")
    return metadata if isinstance(metadata, Mapping) else {}


def _relayed_codes(metadata: Mapping[str, Any]) -> set[str]:
    """Return the codes in the provider's own error, which is JSON in ``raw``."""
    raw = metadata.get("raw")
    raw = parse_leniently(raw.removeprefix("\ufeff")) if isinstance(raw, str) else raw
    found = raw.get("error", raw) if isinstance(raw, Mapping) else None
    return set(_codes(found)) if isinstance(found, Mapping) else set()


def _codes(error: Mapping[str, Any]) -> Iterator[str]:
    """Yield the codes in words that an error has, in lower case."""
    metadata = metadata_of(error)
    availability = error.get("availability")
    places = (
        (error, ("code", "type")),
        (metadata, ("error_type", "reason", "provider_error_code", "provider_code")),
        (availability if isinstance(availability, Mapping) else {}, ("code",)),
    )
    for place, names in places:
        for name in names:
            value = place.get(name)
            if isinstance(value, str):
                yield value.lower()
