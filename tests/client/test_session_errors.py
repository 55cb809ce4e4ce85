"""``raise_for_status()`` of the session's responses, without a socket."""

from __future__ import annotations

import gzip
import io
import json
import pickle
from collections.abc import Iterator
from typing import Any

import pytest
import requests
import responses
from cases import case

from flask_openrouter.client import OpenRouterClient
from flask_openrouter.client.credentials import hash_of_key
from flask_openrouter.client.session import APISession, SessionResponse
from flask_openrouter.errors import (
    APIError,
    BadRequestError,
    ForbiddenError,
    InvalidAnswerError,
    KeyRejectedError,
    NotFoundError,
    OpenRouterError,
    OutOfCreditError,
    ProviderError,
    RateLimitError,
    ServerError,
)

KEY = "sk-or-v1-" + "0123456789abcdef" * 4
URL = "https://openrouter.ai/api/v1/chat/completions"
NAMED = {"provider_name": "Anthropic", "raw": "x"}


@pytest.fixture
def openrouter() -> Iterator[responses.RequestsMock]:
    with responses.RequestsMock() as mock:
        yield mock


def session(**options: Any) -> APISession:
    return OpenRouterClient().api_session(KEY, **options)


def error(code: int, message: str = "No", **metadata: Any) -> dict[str, Any]:
    return {"error": {"code": code, "message": message, "metadata": metadata}}


def ask(openrouter: responses.RequestsMock, status: int, body: Any, **options: Any) -> Any:
    """Post a question that gets this response."""
    text = body if isinstance(body, str | bytes) else json.dumps(body)
    sent = {key: options.pop(key) for key in ("headers", "content_type") if key in options}
    openrouter.replace(responses.POST, URL, text, status=status, **sent) if _has(
        openrouter
    ) else openrouter.post(URL, text, status=status, **sent)
    return session().post("chat/completions", json={}, **options)


def _has(openrouter: responses.RequestsMock) -> bool:
    return bool(openrouter.registered())


def raised(reply: Any) -> Any:
    with pytest.raises(OpenRouterError) as caught:
        reply.raise_for_status()
    return caught.value


@pytest.mark.requirement("O1", "O2", "O7", "O9", "O10", "O18", "O21", "O23")
def test_the_error_of_each_status_is_raised(openrouter: responses.RequestsMock) -> None:
    for status, body, kind, reason in [
        (400, {"success": False, "error": {"name": "ZodError"}}, BadRequestError, None),
        (400, "Malformed JSON in request body", BadRequestError, None),
        (401, error(401, **NAMED), ProviderError, None),
        (402, error(402, **NAMED), ProviderError, None),
        (
            402,
            error(402, limit_source="openrouter_in_flight_budget"),
            RateLimitError,
            "in_flight_budget",
        ),
        (403, error(403, "Key limit exceeded", reasons=["x"]), ForbiddenError, "moderation"),
        (404, error(404, "No endpoints found matching your data policy"), NotFoundError, "privacy"),
        (429, error(429, "Rate limit exceeded: free-models-per-day"), RateLimitError, "free_daily"),
        (500, "", ServerError, None),
        (502, error(502, **NAMED), ProviderError, None),
        (524, "<title>524</title>", ServerError, None),
        (599, "null", ServerError, None),
    ]:
        for stream in (False, True):
            with case(status, body, stream):
                reply = ask(openrouter, status, body, stream=stream)
                assert reply.status_code == status
                found = raised(reply)
                assert isinstance(found, kind)
                assert (found.status, found.reason) == (status, reason)
                assert isinstance(found, requests.HTTPError)
                assert found.response is reply
                assert found.request is reply.request
                # The response is still whole.
                shown = body if isinstance(body, str) else json.dumps(body)
                assert reply.text == shown


@pytest.mark.requirement("O11", "O22")
def test_an_error_inside_a_200_is_raised(openrouter: responses.RequestsMock) -> None:
    for body, kind, status in [
        (error(429, "Rate limit exceeded: free-models-per-min"), RateLimitError, 429),
        ({"id": "gen-1", **error(502)}, ServerError, 502),
        ({"id": "gen-1", **error(401, "User not found.")}, APIError, 401),
        ({"choices": [{"error": {"code": 503}}]}, ServerError, 503),
    ]:
        with case(body):
            reply = ask(openrouter, 200, body)
            assert reply.json() == body
            found = raised(reply)
            assert isinstance(found, kind)
            assert isinstance(found, requests.HTTPError)
            assert found.status == status
            assert not isinstance(found, KeyRejectedError)


@pytest.mark.requirement("O12")
def test_an_answer_that_broke_off_is_an_error(openrouter: responses.RequestsMock) -> None:
    """Of any size: the error is on a choice, or its ``finish_reason`` is the only sign."""
    message = {"message": {"content": "x" * 70_000}}
    for choice, kind in [
        ({"finish_reason": "error"}, ProviderError),
        ({"finish_reason": "stop", "native_finish_reason": "network_error"}, ProviderError),
        ({"finish_reason": "error", **error(429)}, RateLimitError),
        ({"finish_reason": "stop", "native_finish_reason": "stop"}, None),
        ({"finish_reason": "content_filter", "native_finish_reason": "error"}, None),
    ]:
        for one in (choice, {**message, **choice}):
            with case(choice, len(one)):
                body = {"id": "gen-1", "choices": [{"index": 0, "finish_reason": "stop"}, one]}
                reply = ask(openrouter, 200, body, content_type="application/json")
                if kind is None:
                    reply.raise_for_status()
                else:
                    assert isinstance(raised(reply), kind)
    # A stored answer, not one to this request.
    openrouter.get(f"{URL}/1", json={"choices": [{"finish_reason": "error"}]})
    session().get("chat/completions/1").raise_for_status()


def test_any_other_response_raises_nothing(openrouter: responses.RequestsMock) -> None:
    for status, body in [
        (200, {"choices": [{"message": {"content": 'an "error"'}, "finish_reason": "error"}]}),
        (200, {"error": None}),
        (200, '{"error"'),
        (200, '["error"]'),
        (200, ""),
        (200, '{"error": {"code": 429}, "filler": "' + "x" * 70_000 + '"}'),
        (201, {"data": {}}),
        (304, ""),
        (302, error(500)),
        (600, error(500)),
    ]:
        with case(status, body):
            ask(openrouter, status, body).raise_for_status()


def test_a_response_without_json_is_an_unexpected_answer(
    openrouter: responses.RequestsMock,
) -> None:
    for status, body in [
        (200, "<html>Log in to the network</html>"),
        (302, ""),
        (200, '{"cut'),
        (200, "[" * 100_000),
        (200, "9" * 5000),
    ]:
        with case(status, body), pytest.raises(InvalidAnswerError) as caught:
            ask(openrouter, status, body).json()
        assert isinstance(caught.value, requests.JSONDecodeError)
        assert caught.value.status == status
        copied = pickle.loads(pickle.dumps(caught.value))  # noqa: S301 - our own
        assert (type(copied), str(copied)) == (type(caught.value), str(caught.value))
        assert "Log in" not in repr(vars(caught.value))
    assert ask(openrouter, 200, "1.5").json(parse_float=str) == "1.5"


@pytest.mark.requirement("O11")
def test_a_streamed_200_is_not_read(openrouter: responses.RequestsMock) -> None:
    reply = ask(openrouter, 200, error(429), stream=True)
    reply.raise_for_status()
    assert reply.raw.tell() == 0
    assert reply.json()["error"]["code"] == 429
    # Read by the app meanwhile.
    assert raised(reply).status == 429


def test_what_is_about_the_key_is_raised_by_the_call(openrouter: responses.RequestsMock) -> None:
    for status, body, kind in [
        (401, error(401, "User not found."), KeyRejectedError),
        (402, error(402), OutOfCreditError),
        (403, error(403, "Key limit exceeded"), OutOfCreditError),
    ]:
        for stream in (False, True):
            with case(status, stream), pytest.raises(kind) as caught:
                ask(openrouter, status, body, stream=stream)
    assert caught.value.help_url == f"https://openrouter.ai/keys/{hash_of_key(KEY)}"


@pytest.mark.requirement("O3")
def test_on_unauthorized_decides_what_a_401_means(openrouter: responses.RequestsMock) -> None:
    openrouter.post(URL, json.dumps(error(401, "User not found.")), status=401)
    unsure = APIError(401, reason="unconfirmed", is_retryable=True)
    for answer, timeout, most in [
        (unsure, None, 60),
        (unsure, (3, 9), 9),
        (unsure, 2, 2),
        (None, 7.5, 7.5),
    ]:
        with case(answer, timeout):
            given: list[Any] = []

            def decide(
                *what: Any, given: list[Any] = given, answer: Any = answer
            ) -> OpenRouterError | None:
                given.extend(what)
                return answer  # type: ignore[no-any-return]

            own = session(on_unauthorized=decide)
            with pytest.raises(APIError) as caught:
                own.post("chat/completions", timeout=timeout)
            rejected, seconds = given
            assert isinstance(rejected, KeyRejectedError)
            assert rejected.key_hash == hash_of_key(KEY)
            assert 0 < seconds <= most
            assert caught.value is (rejected if answer is None else answer)


def test_a_hook_of_the_app_may_raise_for_status(openrouter: responses.RequestsMock) -> None:
    """A recipe for ``requests``: every error is raised, wherever the call is."""

    def check(reply: requests.Response, **_: Any) -> None:
        assert isinstance(reply, SessionResponse)
        reply.raise_for_status()

    for status, body, kind in [
        (429, error(429), RateLimitError),
        (401, error(401, **NAMED), ProviderError),
        (401, error(401), KeyRejectedError),
        (200, error(503), ServerError),
    ]:
        with case(status, body), pytest.raises(kind) as caught:
            ask(openrouter, status, body, hooks={"response": check})
        assert "No" in str(caught.value)
    ask(openrouter, 200, error(503), hooks={"response": check}, stream=True)
    own = session()
    own.hooks["response"].append(check)
    with pytest.raises(ServerError):
        own.post("chat/completions")


def test_a_hook_that_reads_the_response_takes_nothing_from_the_error(
    openrouter: responses.RequestsMock,
) -> None:
    seen: list[str] = []

    def read(reply: requests.Response, **_: Any) -> requests.Response:
        seen.append(reply.text)
        plain = requests.Response()
        vars(plain).update({k: v for k, v in vars(reply).items() if k in reply.__attrs__})
        return plain

    with pytest.raises(OutOfCreditError, match="Add credit"):
        ask(openrouter, 402, error(402, "Add credit"), hooks={"response": read})
    assert "Add credit" in seen[0]


def test_a_body_that_cannot_be_decoded_is_no_other_error(
    openrouter: responses.RequestsMock,
) -> None:
    for encoding, body in [("gzip", b"no gzip"), ("br", b"x"), ("gzip", gzip.compress(b" "))]:
        headers = {"Content-Encoding": encoding}
        with case(encoding), pytest.raises(KeyRejectedError) as caught:
            ask(openrouter, 401, body, headers=headers)
        assert caught.value.upstream_message == ""
        with case(encoding):
            reply = ask(openrouter, 429, body, headers=headers, stream=True)
            assert isinstance(raised(reply), RateLimitError)
            reply = ask(openrouter, 429, body, headers={**headers, "Retry-After": "7"})
            found = raised(reply)
            assert isinstance(found, RateLimitError)
            assert found.retry_after == 7
            assert reply.text.strip() == ""


def test_an_error_inside_a_200_is_read_leniently(openrouter: responses.RequestsMock) -> None:
    """However large, and as far as Python can read it: the app would take it for a success."""
    for body in (
        json.dumps({**error(402), "filler": "x" * 70_000}),
        '{"error": {"code": 402}, "a": 1, "a": 2}',
        '{"error": {"code": 402}, "a": NaN}',
        b'{"error": {"code": 402, "message": "\xff"}}',
        b'\xef\xbb\xbf{"error": {"code": 402}}',
    ):
        with case(body[:60]):
            reply = ask(openrouter, 200, body, content_type="application/json")
            assert isinstance(raised(reply), OutOfCreditError)


def test_a_hook_may_return_a_response_of_its_own(openrouter: responses.RequestsMock) -> None:
    for raw, text in ((None, ""), (io.BytesIO(b"Mine"), "Mine")):
        own = requests.Response()
        own.status_code, own.raw = 429, raw
        reply = ask(openrouter, 200, {}, hooks={"response": lambda *_, own=own, **__: own})
        assert reply is own
        assert reply.text == text


@pytest.mark.requirement("W9", "R64")
def test_a_pickled_response_still_knows_its_error(openrouter: responses.RequestsMock) -> None:
    reply = ask(openrouter, 429, error(429, f"for {KEY}"))
    restored = pickle.loads(pickle.dumps(reply))  # noqa: S301
    for one in (reply, restored):
        found = raised(one)
        assert isinstance(found, RateLimitError)
        assert "for [removed]" in str(found)
        # The response holds what OpenRouter sent; the error does not.
        shown = {name: value for name, value in vars(found).items() if name != "response"}
        assert KEY not in repr(shown)
    assert KEY not in repr({k: v for k, v in vars(reply).items() if k != "_content"})
