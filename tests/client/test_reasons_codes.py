"""Each code and phrase of OpenRouter's errors, one at a time, and the class and reason it means."""

from __future__ import annotations

import json
from typing import Any

import pytest
from cases import case

from flask_openrouter import errors
from flask_openrouter.client.responses import error_from, error_in
from flask_openrouter.errors import (
    APIError,
    ForbiddenError,
    OutOfCreditError,
    ProviderError,
    RateLimitError,
)

#: The codes in words, and the status that each stands for where an error has no number.
STATUSES = {
    400: "invalid_request invalid_prompt max_tokens_exceeded token_limit_exceeded"
    " context_length_exceeded string_too_long invalid_request_error",
    401: "authentication authentication_error",
    402: "payment_required billing_error",
    403: "moderation content_policy_violation refusal guardrail permission_denied permission_error",
    404: "not_found not_found_error",
    408: "timeout",
    413: "payload_too_large",
    422: "unprocessable",
    429: "rate_limit_exceeded rate_limit_error",
    500: "server server_error",
    502: "provider_unavailable unheard_of",
    529: "provider_overloaded overloaded_error",
}


def found(status: int, message: object = "No", **metadata: Any) -> tuple[type, str | None]:
    """The class and the reason of an error with this status."""
    body = {"error": {"code": status, "message": message, "metadata": metadata}}
    error = error_from(status, {}, json.dumps(body).encode())
    assert isinstance(error, APIError)
    return type(error), error.reason


def status_inside_200(error: dict[str, Any]) -> int:
    found = error_in({"error": error})
    assert found is not None
    return found.status


@pytest.mark.requirement("O22")
def test_each_code_in_words_stands_for_a_status() -> None:
    for status, codes in STATUSES.items():
        for code in codes.split():
            for error in (
                {"code": code},
                {"type": code.upper()},
                {"availability": {"code": code}},
                *(
                    {"metadata": {name: code}}
                    for name in ("error_type", "reason", "provider_error_code", "provider_code")
                ),
            ):
                with case(error):
                    assert status_inside_200(error) == status


@pytest.mark.requirement("O22")
def test_a_number_decides_before_a_code_in_words() -> None:
    assert status_inside_200({"status": 503, "code": "timeout"}) == 503
    assert status_inside_200({"status": 503, "http_status": 504}) == 504
    assert status_inside_200({"http_status": 504, "code": "408"}) == 408


def test_each_status_has_its_class() -> None:
    for status, name in {
        400: "BadRequestError",
        401: "KeyRejectedError",
        402: "OutOfCreditError",
        403: "ForbiddenError",
        404: "NotFoundError",
        405: "MethodNotAllowedError",
        408: "RequestTimeoutError",
        409: "ConflictError",
        413: "PayloadTooLargeError",
        418: "APIError",
        422: "UnprocessableError",
        429: "RateLimitError",
        499: "APIError",
        500: "ServerError",
        599: "ServerError",
    }.items():
        with case(status):
            assert found(status)[0] is getattr(errors, name)


@pytest.mark.requirement("O4", "O5", "O6", "O24")
def test_each_phrase_of_a_limit_decides_with_402_and_403() -> None:
    for message, reason in [
        ("KEY LIMIT exceeded (total limit)", "key_limit"),
        ("  Key limit exceeded", "key_limit"),
        ("Workspace budget is exhausted", "workspace_budget"),
        ("The workspace Weekly budget was REACHED", "workspace_budget"),
        ("The guardrail budget is spent", "guardrail_budget"),
        ("Guardrail MONTHLY budget of $5 exceeded", "guardrail_budget"),
        ("budget LIMIT exceeded", "account"),
        ("insufficient CREDITS", "account"),
        ("Insufficient funds", "account"),
        ("Insufficient balance", "account"),
    ]:
        for status in (402, 403):
            with case(status, message):
                assert found(status, message) == (OutOfCreditError, reason)
        with case(message):
            assert found(404, message) == (errors.NotFoundError, None)
            assert found(403, f"You wrote: {message}") == (ForbiddenError, None)
    for period in ("total", "daily", "weekly", "MONTHLY"):
        message = f"Prompt tokens limit exceeded: 2 > 1. Create a key with a higher {period} limit"
        assert found(402, message) == (OutOfCreditError, "key_limit")
        assert found(403, message) == (ForbiddenError, None)
    for start in ("This REQUEST requires more credits", "Prompt TOKENS limit exceeded"):
        message = f"{start}. Visit https://openrouter.ai/settings/keys"
        assert found(402, message) == (OutOfCreditError, "key_limit")
        assert found(403, message) == (ForbiddenError, None)
    message = "This request requires more credits, or fewer max_tokens. You CAN only afford 7"
    assert found(402, message) == (OutOfCreditError, "max_tokens")
    assert found(403, message) == (ForbiddenError, None)
    assert found(402, "IN_FLIGHT_budget_exhausted") == (RateLimitError, "in_flight_budget")
    assert found(403, "in_flight_budget_exhausted") == (ForbiddenError, None)


@pytest.mark.requirement("O7", "O9", "O18")
def test_each_other_phrase_decides_with_its_status_alone() -> None:
    for status, message, reason in [
        (403, "ONLY management keys can do this", "permission"),
        (403, "a/b requires MODERATION on X", "moderation"),
        (403, "Request BLOCKED by a guardrail", "guardrail"),
        (403, "Blocked by guardrail", "guardrail"),
        (400, "This endpoint's MAXIMUM context length is 7 tokens", "context_length"),
        (413, "This endpoint's maximum context length is 7 tokens", "context_length"),
        (429, "rate limit exceeded: FREE-models-per-day", "free_daily"),
        (429, "rate limit exceeded: FREE-models-per-min", "free_per_minute"),
        (429, "LIMIT_rpd/a", "model_limit"),
        (429, "Rate limit exceeded: limit_rpm/a", "model_limit"),
        (429, "limit_tpm/a", "model_limit"),
    ]:
        with case(status, message):
            assert found(status, message) == (found(status)[0], reason)
            assert found(409, message) == (errors.ConflictError, None)
    for message, reason in [
        ("No endpoints FOUND matching your guardrail restrictions and data policy", "privacy"),
        ("No endpoints available matching your DATA policy", "privacy"),
        ("PAID model training violation", "privacy"),
        ("FREE model training violation", "privacy"),
        ("NO endpoints found matching your guardrail restrictions", "guardrail"),
    ]:
        for status in (400, 404, 503):
            with case(status, message):
                assert found(status, message) == (found(status)[0], reason)


@pytest.mark.requirement("O18")
def test_each_code_of_a_refusal() -> None:
    for code, reason in {
        "moderation": "moderation",
        "content_policy_violation": "content_policy",
        "refusal": "refusal",
        "guardrail": "guardrail",
        "permission_denied": "permission",
        "permission_error": "permission",
    }.items():
        with case(code):
            assert found(403, error_type=code) == (ForbiddenError, reason)
            assert found(409, error_type=code) == (errors.ConflictError, None)
    assert found(403, patterns=["x"], provider_name="X") == (ForbiddenError, "guardrail")
    assert found(404, patterns=["x"]) == (errors.NotFoundError, None)
    for status in (400, 403):
        assert found(status, reasons=["x"], raw="x") == (ForbiddenError, "moderation")
    assert found(404, reasons=["x"]) == (errors.NotFoundError, None)


@pytest.mark.requirement("O4", "O6", "O7", "O21", "O24")
def test_each_code_of_a_limit() -> None:
    for source, reason in {
        "openrouter_in_flight_budget": "in_flight_budget",
        "openrouter_free_tier_daily": "free_daily",
        "openrouter_free_tier_per_minute": "free_per_minute",
        "openrouter_shared_capacity": "shared_capacity",
    }.items():
        for status in (402, 403, 429):
            with case(status, source):
                assert found(status, limit_source=source) == (RateLimitError, reason)
        assert found(404, limit_source=source) == (errors.NotFoundError, None)
    for source, reason in {
        "openrouter_guardrail_budget": "guardrail_budget",
        "openrouter_workspace_budget": "workspace_budget",
        "openrouter_key_limit": "key_limit",
        "openrouter_credits": "account",
        "openrouter_budget": "account",
    }.items():
        for status in (402, 403):
            with case(status, source):
                assert found(status, limit_source=source) == (OutOfCreditError, reason)
        assert found(429, limit_source=source) == (RateLimitError, None)
    for status in (402, 403):
        spent = {"limit_source": "x_budget", "scope": "the workspace"}
        assert found(status, **spent) == (OutOfCreditError, "workspace_budget")
        assert found(status, reason="WEIGHT_exceeds_budget") == (OutOfCreditError, "max_tokens")
    for scope, reason in (("guardrail", "guardrail_budget"), ("a_key", "key_limit")):
        assert found(402, scope=scope) == (OutOfCreditError, reason)
    assert found(402, scope="credit") == (OutOfCreditError, "account")
    assert found(429, reason="weight_exceeds_budget") == (RateLimitError, None)
    for status in (402, 403, 429):
        lent = {"reason": "in_flight_budget_exhausted", "raw": "x"}
        assert found(status, **lent) == (RateLimitError, "in_flight_budget")


@pytest.mark.requirement("O2", "O6")
def test_a_limit_of_the_model_provider_is_not_the_visitors() -> None:
    for source in (
        "upstream_provider_shared_pool",
        "upstream_provider_credits",
        "upstream_key_limit",
        "upstream_in_flight_budget",
        "provider_workspace_budget",
    ):
        for status in (401, 402, 403):
            for message in ("No", "Key limit exceeded", "Insufficient credits"):
                for named in ({}, {"provider_name": "Venice"}):
                    with case(status, message, source, named):
                        outcome = found(status, message, limit_source=source, **named)
                        assert outcome == (ProviderError, None)
    for source, reason in (("openrouter_credits", "account"), ("key_limit", "key_limit")):
        spent = {"limit_source": source, "provider_name": "Venice"}
        assert found(402, **spent) == (OutOfCreditError, reason)


@pytest.mark.requirement("O5", "O24")
def test_a_phrase_is_more_precise_than_the_code_of_an_account_only() -> None:
    afford = "This request requires more credits, or fewer max_tokens. You can only afford 7"
    for message, source, reason in [
        ("Key limit exceeded", "openrouter_credits", "key_limit"),
        ("Key limit exceeded", "openrouter_workspace_budget", "workspace_budget"),
        ("Workspace budget reached", "openrouter_budget", "workspace_budget"),
        ("Guardrail budget reached", "openrouter_credits", "guardrail_budget"),
        (afford, "openrouter_credits", "max_tokens"),
        (afford, "openrouter_key_limit", "max_tokens"),
        ("Insufficient credits", "openrouter_key_limit", "key_limit"),
    ]:
        with case(message, source):
            assert found(402, message, limit_source=source) == (OutOfCreditError, reason)


@pytest.mark.requirement("O10")
def test_each_member_that_names_a_provider() -> None:
    for name in ("provider_name", "provider_code", "provider_error_code", "raw"):
        with case(name):
            assert found(400, **{name: "x"}) == (ProviderError, None)
            assert found(400, **{name: ""}) == (errors.BadRequestError, None)
    for code in ("context_length_exceeded", "string_too_long"):
        assert found(400, error_type=code) == (errors.BadRequestError, "context_length")
        assert found(400, provider_code=code) == (ProviderError, "context_length")
    assert found(403, error_type="permission_denied", raw="x") == (ProviderError, None)
    assert found(403, "Only management keys can", raw="x") == (ProviderError, None)
