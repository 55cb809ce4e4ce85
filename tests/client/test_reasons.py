"""The class and the reason of OpenRouter's errors, as they are sent."""

from __future__ import annotations

import json
from datetime import datetime, timezone
from typing import Any

import pytest
from cases import case

from flask_openrouter.client.credentials import hash_of_key
from flask_openrouter.client.responses import error_from, error_in
from flask_openrouter.errors import (
    APIError,
    BadRequestError,
    ForbiddenError,
    KeyRejectedError,
    NotFoundError,
    OpenRouterError,
    OutOfCreditError,
    ProviderError,
    RateLimitError,
    ServerError,
)

BASE_URL = "https://gateway.example"
KEY = "sk-or-v1-" + "0123456789abcdef" * 4
KEY_PAGE = f"{BASE_URL}/keys/{hash_of_key(KEY)}"
CREDITS = f"{BASE_URL}/settings/credits"
PRIVACY = f"{BASE_URL}/settings/privacy"
MORE_TOKENS = (
    "This request requires more credits, or fewer max_tokens. You requested up to 4096 tokens, but"
    " can only afford {}. To increase, visit https://openrouter.ai/settings/{}"
)


def by_status(status: int, message: object, **metadata: Any) -> Any:
    body = {"error": {"code": status, "message": message, "metadata": metadata}}
    return error_from(status, {}, json.dumps(body).encode(), base_url=BASE_URL, api_key=KEY)


def by_body(status: object, message: object, **metadata: Any) -> Any:
    body = {"id": "gen-1", "error": {"code": status, "message": message, "metadata": metadata}}
    return error_in(body, base_url=BASE_URL, api_key=KEY)


def check(cases: list[tuple[Any, ...]]) -> None:
    """Check each case as a status and inside a 200: the two mean the same."""
    for status, message, metadata, kind, reason, help_url in cases:
        for read in (by_status, by_body):
            with case(read.__name__, status, message, metadata):
                error = read(status, message, **metadata)
                assert type(error) is kind
                assert (error.status, error.reason) == (status, reason)
                assert error.help_url == help_url


@pytest.mark.requirement("O4", "O5", "O6", "O24")
def test_the_reason_of_spent_credit() -> None:
    check(
        [
            (402, message, metadata, OutOfCreditError, reason, help_url)
            for message, metadata, reason, help_url in [
                ("Insufficient credits. Add more", {}, "account", CREDITS),
                ("Anything new", {}, "account", CREDITS),
                ("No", {"limit_source": "openrouter_credits"}, "account", CREDITS),
                (MORE_TOKENS.format(3919, "credits"), {}, "max_tokens", CREDITS),
                (MORE_TOKENS.format(3919, "keys"), {}, "max_tokens", KEY_PAGE),
                (MORE_TOKENS.format(0, "credits"), {}, "account", CREDITS),
                (MORE_TOKENS.format(-7, "keys"), {}, "key_limit", KEY_PAGE),
                ("No", {"reason": "weight_exceeds_budget"}, "max_tokens", CREDITS),
                (
                    "Prompt tokens limit exceeded: 230799 > 91442. To increase, visit"
                    " https://openrouter.ai/settings/keys and create a key with a higher monthly"
                    " limit",
                    {"limit_source": "openrouter_credits"},
                    "key_limit",
                    KEY_PAGE,
                ),
                ("No", {"limit_source": "openrouter_workspace_budget"}, "workspace_budget", None),
            ]
        ]
    )
    check(
        [
            (403, message, metadata, OutOfCreditError, reason, help_url)
            for message, metadata, reason, help_url in [
                ("Key limit exceeded (daily limit). Manage it", {}, "key_limit", KEY_PAGE),
                (
                    "Budget limit exceeded",
                    {"limit_source": "openrouter_key_limit", "error_type": "permission_denied"},
                    "key_limit",
                    KEY_PAGE,
                ),
                (
                    "Workspace monthly budget of $500.00 exceeded. Contact your workspace admin.",
                    {},
                    "workspace_budget",
                    None,
                ),
                (
                    "Budget limit exceeded",
                    {"limit_source": "openrouter_guardrail_budget", "scope": "api_key"},
                    "guardrail_budget",
                    f"{BASE_URL}/settings/guardrails",
                ),
                ("Budget limit exceeded", {"scope": "workspace"}, "workspace_budget", None),
                ("Budget limit exceeded", {"scope": 7}, "account", CREDITS),
                ("Budget limit exceeded", {"scope": "?"}, "account", CREDITS),
                ("No", {"limit_source": "a_budget", "scope": "key"}, "key_limit", KEY_PAGE),
                (
                    "Guardrail daily budget was reached",
                    {},
                    "guardrail_budget",
                    f"{BASE_URL}/settings/guardrails",
                ),
            ]
        ]
    )


@pytest.mark.requirement("O24")
def test_a_spent_budget_says_when_it_is_reset() -> None:
    moment = datetime(2026, 12, 1, tzinfo=timezone.utc)
    for value, expected in [
        ("2026-12-01T00:00:00Z", moment),
        ("2026-12-01T00:00:00", moment),
        ("2026-12-01T01:00:00+01:00", moment),
        (moment.timestamp(), moment),
        (moment.timestamp() * 1000, moment),
        ("soon", None),
        (None, None),
        (True, None),
        (10**400, None),
        (1e300, None),
    ]:
        with case(value):
            error = by_status(
                403,
                "Budget limit exceeded",
                limit_source="openrouter_workspace_budget",
                resets_at=value,
            )
            assert error.resets_at == expected
            assert expected is None or error.resets_at.utcoffset() is not None
            assert (error.settings_url, error.is_retryable) == (CREDITS, False)


@pytest.mark.requirement("O21")
def test_credit_that_requests_under_way_have_reserved_is_a_rate_limit() -> None:
    check(
        [
            (402, message, metadata, RateLimitError, "in_flight_budget", None)
            for message, metadata in [
                ("No", {"limit_source": "openrouter_in_flight_budget"}),
                ("No", {"reason": "in_flight_budget_exhausted"}),
                (
                    MORE_TOKENS.format(9, "credits"),
                    {"limit_source": "openrouter_credits", "reason": "in_flight_budget_exhausted"},
                ),
                ("in_flight_budget_exhausted", {"limit_source": "openrouter_credits"}),
            ]
        ]
    )
    error = error_from(
        402,
        {"retry-after": "5"},
        b'{"error":{"metadata":{"limit_source":"openrouter_in_flight_budget"}}}',
    )
    assert isinstance(error, RateLimitError)
    assert (error.retry_after, error.is_retryable) == (5, True)


@pytest.mark.requirement("O7", "O11")
def test_the_reason_of_a_rate_limit() -> None:
    check(
        [
            (429, message, metadata, kind, reason, help_url)
            for message, metadata, kind, reason, help_url in [
                (
                    "Rate limit exceeded: free-models-per-day. Add 10 credits to unlock 1000",
                    {},
                    RateLimitError,
                    "free_daily",
                    CREDITS,
                ),
                (
                    "No",
                    {"limit_source": "openrouter_free_tier_daily"},
                    RateLimitError,
                    "free_daily",
                    CREDITS,
                ),
                (
                    "Rate limit exceeded: free-models-per-min",
                    {},
                    RateLimitError,
                    "free_per_minute",
                    None,
                ),
                (
                    "No",
                    {"limit_source": "openrouter_free_tier_per_minute"},
                    RateLimitError,
                    "free_per_minute",
                    None,
                ),
                (
                    "Rate limit exceeded: limit_rpd/a/b/1-2. High demand for a/b",
                    {},
                    RateLimitError,
                    "model_limit",
                    None,
                ),
                (
                    "No",
                    {"limit_source": "openrouter_shared_capacity"},
                    RateLimitError,
                    "shared_capacity",
                    None,
                ),
                (
                    "No",
                    {"limit_source": "upstream_provider_shared_pool"},
                    RateLimitError,
                    "shared_capacity",
                    None,
                ),
                (
                    "No",
                    {"limit_source": "upstream_provider_shared_pool", "provider_name": "Venice"},
                    ProviderError,
                    "shared_capacity",
                    None,
                ),
                ("Slow down", {}, RateLimitError, None, None),
            ]
        ]
    )


@pytest.mark.requirement("O9", "O10")
def test_the_reason_of_other_refusals() -> None:
    too_long = "This endpoint's maximum context length is 40960 tokens. However, you requested"
    policy = "No endpoints found matching your data policy (Free model publication). Configure: x"
    check(
        [
            (400, too_long, {}, BadRequestError, "context_length", None),
            (400, too_long, {"provider_name": "Venice"}, ProviderError, "context_length", None),
            (
                400,
                "No",
                {"error_type": "context_length_exceeded"},
                BadRequestError,
                "context_length",
                None,
            ),
            (
                400,
                "No",
                {"provider_code": "context_length_exceeded"},
                ProviderError,
                "context_length",
                None,
            ),
            (404, policy, {}, NotFoundError, "privacy", PRIVACY),
            (
                404,
                "No endpoints available matching your guardrail restrictions and data policy.",
                {},
                NotFoundError,
                "privacy",
                PRIVACY,
            ),
            (
                404,
                "No endpoints available matching your guardrail restrictions",
                {},
                NotFoundError,
                "guardrail",
                f"{BASE_URL}/settings/guardrails",
            ),
            (
                502,
                "Paid model training violation (account settings)",
                {"provider_name": "X"},
                ServerError,
                "privacy",
                PRIVACY,
            ),
            (404, "No endpoints found for a/b", {}, NotFoundError, None, None),
        ]
    )
    assert not by_status(502, "Paid model training violation (account settings)").is_retryable


@pytest.mark.requirement("O18", "O24")
def test_the_reason_of_a_forbidden_request() -> None:
    named = {"provider_name": "OpenAI", "provider_code": "x", "raw": "x"}
    quoted = "Flagged: my credit card limit was reached. Key limit exceeded"
    check(
        [
            (403, message, metadata, ForbiddenError, reason, help_url)
            for message, metadata, reason, help_url in [
                (quoted, {"reasons": ["violence"], **named}, "moderation", None),
                (quoted, {"flagged_input": "Key limit exceeded"}, "moderation", None),
                (
                    "No",
                    {"reasons": ["x"], "limit_source": "openrouter_key_limit"},
                    "moderation",
                    None,
                ),
                ("openai/gpt requires moderation on OpenAI. Your input", {}, "moderation", None),
                ("No", {"error_type": "content_policy_violation", **named}, "content_policy", None),
                ("No", {"error_type": "refusal", **named}, "refusal", None),
                (
                    "No",
                    {"patterns": ["ignore all"]},
                    "guardrail",
                    f"{BASE_URL}/settings/guardrails",
                ),
                ("Only management keys can perform this operation", {}, "permission", None),
                ("No", {"error_type": "permission_denied"}, "permission", None),
                ("my credit card limit was reached", {}, None, None),
                ("my key limit exceeded all I know", {}, None, None),
                ("I have insufficient credits", {}, None, None),
            ]
        ]
    )


@pytest.mark.requirement("O18")
def test_moderation_is_known_without_its_status() -> None:
    for error in (by_status(400, "No", reasons=["x"], raw="x"), by_body(None, "No", reasons=["x"])):
        assert (type(error), error.reason) == (ForbiddenError, "moderation")
    assert by_body(None, "No", reasons=["x"]).status == 403


@pytest.mark.requirement("O1", "O2", "O22")
def test_an_error_inside_a_200_never_says_that_the_key_is_dead() -> None:
    error = by_body(401, "User not found.")
    assert type(error) is APIError
    assert (error.status, error.reason, error.is_retryable) == (401, "unconfirmed", True)
    assert "does not prove that the key is dead" in str(error)
    assert type(by_body(401, "No", provider_name="Anthropic")) is ProviderError
    assert type(by_status(401, "User not found.")) is KeyRejectedError


@pytest.mark.requirement("O22")
def test_the_code_inside_a_200_is_the_status_or_502() -> None:
    for code, status in [
        (400, 400),
        (429, 429),
        (599, 599),
        ("429", 429),
        (429.0, 429),
        (399, 502),
        (600, 502),
        (200, 502),
        (0, 502),
        (-429, 502),
        (10**400, 502),
        (429.5, 502),
        (True, 502),
        (None, 502),
        ([429], 502),
        ("\u0664\u0662\u0669", 502),
        ("anything", 502),
        ("rate_limit_exceeded", 429),
        ("SERVER_ERROR", 500),
        ("context_length_exceeded", 400),
    ]:
        with case(code):
            error = by_body(code, "No")
            assert error.status == status
    assert error_in({"error": {"http_status": 503}}).status == 503  # type: ignore[union-attr]
    overloaded = {"error": {"availability": {"code": "provider_overloaded"}}}
    assert error_in(overloaded).status == 529  # type: ignore[union-attr]


def test_the_provider_is_named_in_one_line() -> None:
    for name, expected in [
        ("Anthropic", "Anthropic"),
        ("A\r\nB\x1b", "A B"),
        ("x" * 99, "x" * 80),
        (KEY, "[removed]"),
        ("", None),
        (None, None),
        (["Anthropic"], None),
    ]:
        with case(name):
            error = by_status(502, "No", provider_name=name)
            assert error.provider_name == expected
    assert isinstance(error, OpenRouterError)
