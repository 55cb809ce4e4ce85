"""All forms in which OpenRouter sends an error, and the one error that they mean."""

from __future__ import annotations

import json
from typing import Any

import pytest
from cases import case
from hypothesis import given
from hypothesis import strategies as st

from flask_openrouter.client.models import parse_object
from flask_openrouter.client.responses import error_from, error_in
from flask_openrouter.errors import (
    APIError,
    BadRequestError,
    ForbiddenError,
    InvalidAnswerError,
    ProviderError,
    RateLimitError,
    ServerError,
)

LIMIT = {"code": 429, "message": "Rate limit exceeded: free-models-per-min"}
CHOICE = {"index": 0, "delta": {"content": ""}, "finish_reason": "error"}


@pytest.mark.requirement("O11", "O12", "O22")
def test_every_form_is_the_same_error() -> None:
    found: list[APIError | None] = [
        error_in({"error": LIMIT}),
        error_in({"id": "gen-1", "error": LIMIT, "choices": [CHOICE]}),
        error_in({"choices": [{"index": 0}, {**CHOICE, "error": LIMIT}]}),
        error_in(LIMIT, event="error"),
        error_in({"error": LIMIT}, event="error"),
        error_in({"type": "error", **LIMIT}),
        error_in({"type": "response.failed", "response": {"error": LIMIT}}),
        error_in({"type": "response.error", "response": {"error": LIMIT}}),
    ]
    by_status = error_from(429, {}, json.dumps({"error": LIMIT}).encode())
    assert isinstance(by_status, APIError)
    for error in [*found, by_status]:
        with case(error):
            assert type(error) is RateLimitError
            assert vars(error) == vars(by_status)
            assert str(error) == str(by_status)


@pytest.mark.requirement("O22", "O27")
def test_what_is_no_error_is_none() -> None:
    """An output, a refusal of the model too, is a value."""
    refusal = {"message": {"content": None, "refusal": "I can't."}}
    for body in [
        {},
        {"error": None},
        {"error": ""},
        {"error": False},
        {"error": 0},
        {"error": []},
        {"choices": None},
        {"choices": ["x", None, {}]},
        {"choices": [{**refusal, "finish_reason": "content_filter"}]},
        {"choices": [{"error": None, "message": {"content": "Hi."}}]},
        {"object": "response", "status": "completed", "error": None},
        {"type": "response.completed", "response": {"error": None}},
        {"data": {"error": LIMIT}},
    ]:
        with case(body):
            assert error_in(body) is None


@pytest.mark.requirement("O22")
def test_an_error_that_says_nothing_is_openrouters_trouble() -> None:
    for body in [
        {"error": {}},
        {"error": True},
        {"error": 7},
        {"error": ["x"]},
        {"type": "response.failed"},
        {"type": "response.failed", "response": {"error": None}},
        {"type": "error"},
    ]:
        with case(body):
            error = error_in(body)
            assert type(error) is ServerError
            assert (error.status, error.upstream_message) == (502, "")


def test_the_headers_and_the_secrets_of_the_response_count() -> None:
    error = error_in(
        {"error": {"code": 429, "message": "for the-secret and the-key-1"}},
        headers={"retry-after": "9", "x-request-id": "req-1"},
        secrets=["the-secret"],
        api_key="the-key-1",
    )
    assert error is not None
    assert (error.retry_after, error.request_id) == (9, "req-1")
    assert error.upstream_message == "for [removed] and [removed]"


@pytest.mark.requirement("O23")
def test_a_zod_error_is_a_bad_request_with_its_first_problems() -> None:
    issues = [
        {"code": "invalid_type", "path": ["messages", 0, "content"], "message": "Required"},
        {"code": "custom", "path": [], "message": "Too short"},
        {"code": "custom", "path": ["x"]},
        {"code": "custom", "path": ["y"], "message": "The fourth"},
    ]
    for text, shown in [
        (json.dumps(issues, indent=2), "messages.0.content: Required; Too short"),
        (json.dumps([{"message": "Bad"}]), "Bad"),
        ("[1, null]", "[1, null]"),
        ("{}", "{}"),
        ("not JSON \ud800", "not JSON"),
        ("", ""),
        (7, ""),
    ]:
        with case(text):
            body = {"success": False, "error": {"name": "ZodError", "message": text}}
            error = error_from(400, {}, json.dumps(body).encode())
            assert type(error) is BadRequestError
            assert (error.status, error.upstream_message) == (400, shown)

    body = {"success": False, "error": {"name": "ZodError", "issues": issues}}
    error = error_from(400, {}, json.dumps(body).encode())
    assert error.upstream_message == "messages.0.content: Required; Too short"  # type: ignore[attr-defined]


@pytest.mark.requirement("O23")
def test_the_words_of_other_json_are_the_message_and_decide_nothing() -> None:
    for body, shown in [
        ({"message": "bad model", "code": 400}, "bad model"),
        ({"detail": "No such user"}, "No such user"),
        ({"detail": [{"loc": ["body", "x"], "msg": "field required"}]}, "body.x: field required"),
        ({"errors": [{"message": "one"}, {"message": "two"}, 7]}, "one; two"),
        ({"message": None, "detail": 7, "errors": []}, ""),
        ({"message": "Key limit exceeded", "code": 403}, "Key limit exceeded"),
    ]:
        with case(body):
            error = error_from(403, {}, json.dumps(body).encode())
            assert type(error) is ForbiddenError
            assert (error.reason, error.upstream_message) == (None, shown)


@pytest.mark.requirement("O1")
def test_json_that_is_not_strict_still_names_the_provider() -> None:
    whole = b'{"error":{"code":401,"message":"M\xc3\xa9","metadata":{"provider_name":"A"}}}'
    for body in (
        b"\xef\xbb\xbf" + whole,
        whole.replace(b'"code":401', b'"code":401,"code":401'),
        whole.replace(b'"code":401', b'"code":NaN,"x":-Infinity'),
        whole.replace(b"\xc3\xa9", b"\xe9"),
    ):
        with case(body):
            error = error_from(401, {"content-type": "application/json"}, body)
            assert type(error) is ProviderError
            assert error.provider_name == "A"


@pytest.mark.requirement("O23")
def test_the_text_of_a_plain_response_is_the_message_and_html_is_not() -> None:
    for content_type, body, shown in [
        ("text/plain", b"Malformed JSON in request body", "Malformed JSON in request body"),
        ("Text/Plain; charset=utf-8", b"a\r\nb\x00\xff", "a b"),
        ("text/plain", b"x" * 500, "x" * 200),
        ('text/plain; charset="ISO-8859-1"', b"Gr\xf6\xdfe", "Gr\xf6\xdfe"),
        ("text/plain; charset=nonsense", b"Gr\xc3\xb6", "Gr\xf6"),
        ("text/plain; charset=idna", b"a" * 99 + b"\xc3\xb6.", "a" * 99 + "\xf6."),
        ("text/html", b"<title>524: A timeout occurred</title>", ""),
        ("", b"anything", ""),
    ]:
        with case(content_type, body):
            headers = {"content-type": content_type}
            error = error_from(400, headers, body, secrets=["anything"])
            assert type(error) is BadRequestError
            # The replacement of an invalid byte is printable.
            assert error.upstream_message.rstrip(" \ufffd") == shown
    gone = error_from(524, {"content-type": "text/html"}, b"<title>524</title>")
    assert (type(gone), gone.is_retryable) == (ServerError, True)  # type: ignore[attr-defined]


def test_words_of_a_plain_text_decide_nothing() -> None:
    error = error_from(403, {"content-type": "text/plain"}, b"Key limit exceeded")
    assert (type(error).__name__, error.reason) == ("ForbiddenError", None)  # type: ignore[attr-defined]


# -- anything ---------------------------------------------------------------------------------

NAMES = st.sampled_from(
    [
        *("error", "code", "message", "metadata", "choices", "type", "name", "response"),
        *("limit_source", "scope", "reason", "reasons", "provider_name", "raw", "headers"),
        *("Retry-After", "X-RateLimit-Reset", "retry_after_seconds", "resets_at", "status"),
        *("availability", "error_type", "patterns", "path", "ZodError"),
    ]
)
WORDS = st.sampled_from(
    [
        *("ZodError", "error", "response.failed", "openrouter_key_limit", "refusal", "429"),
        *("Key limit exceeded", "Rate limit exceeded: free-models-per-day", "1e999", "[{}]"),
        *("openrouter_free_tier_daily", "2026-12-01", "in_flight_budget_exhausted", "\ud800"),
    ]
)
NUMBERS = st.integers() | st.floats() | st.sampled_from([400, 401, 402, 403, 429, 502, 10**400])
VALUES = st.recursive(
    st.none() | st.booleans() | NUMBERS | WORDS | st.text(max_size=20),
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(NAMES | st.text(), inner, max_size=6)
    ),
    max_leaves=30,
)
BODIES = st.dictionaries(NAMES, VALUES, max_size=6)
HEADERS = st.dictionaries(
    st.sampled_from(["retry-after", "x-ratelimit-reset", "content-type", "x-request-id"]),
    WORDS | st.text(max_size=80) | st.sampled_from(["text/plain", "application/json"]),
)


def check(error: Any) -> None:
    """Check what every error promises."""
    assert isinstance(error, (APIError, InvalidAnswerError))
    if isinstance(error, APIError):
        assert 400 <= error.status <= 599
        assert len(error.upstream_message) <= 200
        assert error.upstream_message.isprintable()
        assert error.retry_after is None or 0 <= error.retry_after < float("inf")
        assert error.help_url is None or error.help_url.startswith("https://openrouter.ai/")
        assert error.provider_name is None or error.provider_name.isprintable()
    str(error)


@given(BODIES, HEADERS, st.none() | st.sampled_from(["error", "message"]))
def test_every_object_is_an_error_or_a_value(
    body: dict[str, Any], headers: dict[str, str], event: str | None
) -> None:
    error = error_in(body, event=event, headers=headers, api_key="sk-or-v1-0123456789")
    if error is not None:
        check(error)


@given(st.integers(100, 999), HEADERS, st.none() | st.binary() | BODIES.map(repr).map(str.encode))
def test_every_response_with_an_error_status_is_an_error(
    status: int, headers: dict[str, str], body: bytes | None
) -> None:
    check(error_from(status, headers, body))


@given(st.sampled_from([400, 401, 402, 403, 404, 429, 502]), BODIES)
def test_every_json_body_of_an_error_status_is_an_error(status: int, error: Any) -> None:
    body = json.dumps({"error": error}).encode()
    check(error_from(status, {}, body))
    parse_object(body)
