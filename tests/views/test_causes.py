"""Every error has one problem."""

from __future__ import annotations

import pytest

from flask_openrouter import errors
from flask_openrouter.views.causes import problem_of, problem_of_login

PROBLEMS_OF_ERRORS: list[tuple[errors.OpenRouterError, str, int]] = [
    (errors.StateMismatchError("m", reason="malformed"), "malformed", 400),
    (errors.StateMismatchError("m", reason="unknown"), "unknown", 400),
    (errors.StateMismatchError("m", reason="expired"), "expired", 400),
    (errors.StateMismatchError("m", reason="foreign"), "foreign", 400),
    (errors.AccessDeniedError("m", reason="declined"), "declined", 400),
    (errors.LoginError("m", reason="insecure_address"), "insecure_address", 400),
    (errors.TransportError("m"), "openrouter_failed", 502),
    (errors.TransportError("m", was_sent=True), "openrouter_failed", 502),
    (errors.TransportTimeoutError("m"), "timed_out", 504),
    (errors.InvalidAnswerError("m"), "openrouter_failed", 502),
    (errors.KeyStorageError("m"), "storage_unavailable", 503),
    (errors.NotConnectedError("m"), "key_required", 401),
    (errors.KeyRejectedError(), "key_rejected", 401),
    (errors.APIError(401, reason="unconfirmed"), "unconfirmed", 502),
    (errors.OutOfCreditError(402), "out_of_credit", 402),
    (errors.OutOfCreditError(402, reason="account"), "out_of_credit", 402),
    (errors.OutOfCreditError(403, reason="key_limit"), "key_limit", 402),
    (errors.OutOfCreditError(403, reason="workspace_budget"), "workspace_budget", 402),
    (errors.OutOfCreditError(403, reason="guardrail_budget"), "guardrail_budget", 402),
    (errors.OutOfCreditError(402, reason="max_tokens"), "max_tokens", 402),
    (errors.RateLimitError(429), "rate_limited", 429),
    (errors.RateLimitError(402, reason="in_flight_budget"), "rate_limited", 429),
    (errors.RateLimitError(429, reason="free_daily"), "free_daily", 429),
    (errors.ProviderError(429), "rate_limited", 429),
    (errors.ForbiddenError(403), "refused", 403),
    (errors.ForbiddenError(403, reason="moderation"), "refused", 403),
    (errors.ForbiddenError(403, reason="permission"), "guardrail", 403),
    (errors.NotFoundError(404, reason="privacy"), "privacy", 403),
    (errors.ServerError(502, reason="privacy"), "privacy", 403),
    (errors.NotFoundError(404, reason="guardrail"), "guardrail", 403),
    (errors.BadRequestError(400, reason="context_length"), "too_long", 400),
    (errors.ProviderError(400, reason="context_length"), "too_long", 400),
    (errors.PayloadTooLargeError(413), "too_long", 400),
    (errors.RequestTimeoutError(408), "timed_out", 504),
    (errors.ServerError(504), "timed_out", 504),
    (errors.ServerError(524), "timed_out", 504),
    (errors.ProviderError(504), "timed_out", 504),
    (errors.ProviderError(401), "model_failed", 502),
    (errors.ProviderError(402), "model_failed", 502),
    (errors.ProviderError(500), "model_failed", 502),
    (errors.ServerError(500), "openrouter_failed", 502),
    (errors.BadRequestError(400), "request_failed", 502),
    (errors.NotFoundError(404), "request_failed", 502),
    (errors.MethodNotAllowedError(405), "request_failed", 502),
    (errors.ConflictError(409), "request_failed", 502),
    (errors.APIError(418), "request_failed", 502),
]
PROBLEMS_OF_LOGINS: list[tuple[errors.OpenRouterError, str, int]] = [
    (errors.StateMismatchError("m", reason="unknown"), "unknown", 400),
    (errors.AccessDeniedError("m", reason="declined"), "declined", 400),
    (errors.TransportError("m"), "unreachable", 502),
    (errors.TransportError("m", was_sent=True), "connection_lost", 502),
    (errors.TransportTimeoutError("m"), "timeout", 504),
    (errors.TransportTimeoutError("m", was_sent=True), "timeout", 504),
    (errors.InvalidAnswerError("m"), "unexpected_answer", 502),
    (errors.KeyStorageError("m"), "storage_unavailable", 503),
    (errors.CodeRefusedError(403), "code_refused", 400),
    (errors.CodeRefusedError(400), "code_refused", 400),
    (errors.RateLimitError(429), "busy", 502),
    (errors.ConflictError(409), "busy", 502),
    # A login has no key yet.
    (errors.KeyRejectedError(), "provider_failed", 502),
    (errors.OutOfCreditError(402), "provider_failed", 502),
    (errors.ServerError(500), "provider_failed", 502),
    (errors.MethodNotAllowedError(405), "provider_failed", 502),
    (errors.NotFoundError(404), "provider_failed", 502),
    (errors.ProviderError(401), "provider_failed", 502),
    (errors.APIError(418), "provider_failed", 502),
]


def test_every_error_has_its_problem() -> None:
    for error, code, status in PROBLEMS_OF_ERRORS:
        problem = problem_of(error)
        assert (problem.code, problem.status) == (code, status), repr(error)


def test_every_error_of_a_login_has_its_problem() -> None:
    for error, code, status in PROBLEMS_OF_LOGINS:
        problem = problem_of_login(error)
        assert (problem.code, problem.status) == (code, status), repr(error)


def test_an_error_of_the_operator_is_not_shown_to_visitors() -> None:
    for error in (errors.ConfigurationError("wrong"), errors.OpenRouterError("new")):
        for problem in (problem_of, problem_of_login):
            with pytest.raises(type(error)) as raised:
                problem(error)
            assert raised.value is error
