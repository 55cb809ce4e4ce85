"""The problem that a visitor sees for an error."""

from __future__ import annotations

from types import MappingProxyType
from typing import Final

from ..errors import (
    APIError,
    CodeRefusedError,
    ConflictError,
    ForbiddenError,
    InvalidAnswerError,
    KeyRejectedError,
    KeyStorageError,
    LoginError,
    NotConnectedError,
    OpenRouterError,
    OutOfCreditError,
    PayloadTooLargeError,
    ProviderError,
    RateLimitError,
    RequestTimeoutError,
    ServerError,
    TransportError,
    TransportTimeoutError,
)
from ..problems import PROBLEMS, Problem

_OF_LOGINS: Final = (
    (TransportTimeoutError, "timeout"),
    (KeyStorageError, "storage_unavailable"),
    (InvalidAnswerError, "unexpected_answer"),
    (CodeRefusedError, "code_refused"),
    (RateLimitError, "busy"),
    (ConflictError, "busy"),
    (APIError, "provider_failed"),
)
_OF_CALLS: Final = (
    (NotConnectedError, "key_required"),
    (KeyStorageError, "storage_unavailable"),
    (KeyRejectedError, "key_rejected"),
    (OutOfCreditError, "out_of_credit"),
    (RateLimitError, "rate_limited"),
    (ForbiddenError, "refused"),
    (RequestTimeoutError, "timed_out"),
    (TransportTimeoutError, "timed_out"),
    (PayloadTooLargeError, "too_long"),
    (ProviderError, "model_failed"),
    (ServerError, "openrouter_failed"),
    (InvalidAnswerError, "openrouter_failed"),
    (TransportError, "openrouter_failed"),
    (APIError, "request_failed"),
)
#: Reasons of errors that have a problem of their own.
_REASONS: Final = MappingProxyType(
    {
        **{code: code for code in ("unconfirmed", "key_limit", "workspace_budget", "max_tokens")},
        **{code: code for code in ("guardrail_budget", "free_daily", "privacy", "guardrail")},
        "permission": "guardrail",
        "context_length": "too_long",
    }
)
#: Statuses for a time-out: the standard's (RFC 9110 §15.5.9, §15.6.5), and Cloudflare's.
_TIMEOUTS: Final = (408, 504, 522, 524)


def problem_of(error: OpenRouterError) -> Problem:
    """Return the problem that visitors see for an error that no view has handled.

    Raises ``error`` if it is the operator's, such as a wrong setting.
    """
    if isinstance(error, LoginError):
        return PROBLEMS[error.reason]
    if isinstance(error, APIError):
        code = _REASONS.get(error.reason or "")
        if code is not None:
            return PROBLEMS[code]
        if error.status in _TIMEOUTS:
            return PROBLEMS["timed_out"]
        if isinstance(error, ProviderError) and error.status == 429:
            return PROBLEMS["rate_limited"]
    return _first(_OF_CALLS, error)


def problem_of_login(error: OpenRouterError) -> Problem:
    """Return the problem that visitors see for an error that ended their login.

    Raises ``error`` if it is the operator's, such as a wrong setting.
    """
    if isinstance(error, LoginError):
        return PROBLEMS[error.reason]
    if isinstance(error, TransportError) and not isinstance(error, TransportTimeoutError):
        return PROBLEMS["connection_lost" if error.was_sent else "unreachable"]
    return _first(_OF_LOGINS, error)


def _first(codes: tuple[tuple[type[OpenRouterError], str], ...], error: OpenRouterError) -> Problem:
    for kind, code in codes:
        if isinstance(error, kind):
            return PROBLEMS[code]
    raise error
