"""Errors in a stream and in a whole answer: typed, and after what came before."""

from __future__ import annotations

import json
import pickle
from typing import Any

import pytest
from streams import delta, finished, outcome, sse, whole

from flask_openrouter.client import read_completion, read_stream
from flask_openrouter.errors import (
    APIError,
    ForbiddenError,
    InvalidAnswerError,
    KeyRejectedError,
    NotFoundError,
    OpenRouterError,
    OutOfCreditError,
    ProviderError,
    RateLimitError,
    ServerError,
    TransportError,
)

DAILY = {"code": 403, "message": "Key limit exceeded (daily limit). Manage it using https://x"}
RATE = {"code": 429, "message": "Rate limit exceeded: free-models-per-min"}
FREE = {
    "code": 429,
    "message": "Rate limit exceeded: free-models-per-day",
    "metadata": {"headers": {"X-RateLimit-Reset": "1"}},
}
IN_FLIGHT = {
    "code": 402,
    "message": "Wait",
    "metadata": {"limit_source": "openrouter_in_flight_budget", "retry_after_seconds": 5},
}
PROVIDER = {"code": 502, "message": "Provider disconnected", "metadata": {"provider_name": "P"}}
ERRORS: tuple[tuple[object, type[APIError], int, str | None], ...] = (
    (DAILY, OutOfCreditError, 403, "key_limit"),
    (RATE, RateLimitError, 429, "free_per_minute"),
    (FREE, RateLimitError, 429, "free_daily"),
    (IN_FLIGHT, RateLimitError, 402, "in_flight_budget"),
    ({"code": 402, "message": "Insufficient credits. Add more"}, OutOfCreditError, 402, "account"),
    ({"code": 401, "message": "User not found."}, APIError, 401, "unconfirmed"),
    ({**PROVIDER, "code": 401}, ProviderError, 401, None),
    (PROVIDER, ProviderError, 502, None),
    ({"code": 404, "message": "No endpoints found"}, NotFoundError, 404, None),
    ({"code": 403, "metadata": {"reasons": ["x"]}}, ForbiddenError, 403, "moderation"),
    ({"code": "server_error"}, ServerError, 500, None),
    ("just words", ServerError, 502, None),
    ({}, ServerError, 502, None),
    ({"code": True, "message": 7}, ServerError, 502, None),
)
#: Words of providers for an answer that broke off, each with ``finish_reason: "stop"``.
BROKEN = (
    *("failed", "network_failure", "connection_lost", "connection_reset", "disconnected"),
    *("interrupted", "stream_closed", "unexpected_eof"),
)


def forms(error: object) -> list[bytes]:
    """Return streams that end with this error, in each form of an error in a stream."""
    end = {"choices": [{"delta": {"content": ""}, "finish_reason": "error"}]}
    data = json.dumps({"error": error}).encode()
    return [
        sse({"error": error}),
        sse({"id": "gen-1", **end, "error": error}),
        sse({"choices": [{"delta": {}, "finish_reason": "error", "error": error}]}),
        sse({"choices": [{"error": error}]}, "[DONE]"),
        sse({"choices": [{"delta": {"error": error}}]}, "[DONE]"),
        b"event: error\ndata: %b\n\n" % data,
        b"event: error\ndata: %b" % data,
    ]


@pytest.mark.requirement("O6", "O11", "O12", "O22")
@pytest.mark.parametrize(("error", "kind", "status", "reason"), ERRORS)
def test_an_error_in_a_stream_is_typed_and_comes_after_the_words(
    error: object, kind: type[APIError], status: int, reason: str | None
) -> None:
    for form in forms(error):
        for words in (b"", sse(delta(content="Half"), delta(content=" a"))):
            parts, raised = outcome([words + form])
            assert "".join(part.text for part in parts) == ("Half a" if words else "")
            assert type(raised) is kind, form
            assert isinstance(raised, APIError)
            assert (raised.status, raised.reason) == (status, reason), form
            assert type(pickle.loads(pickle.dumps(raised))) is kind  # noqa: S301 - our own


@pytest.mark.requirement("O11", "O22")
@pytest.mark.parametrize(("error", "kind", "status", "reason"), ERRORS)
def test_an_error_in_the_json_of_a_200_is_typed(
    error: object, kind: type[APIError], status: int, reason: str | None
) -> None:
    for body in (
        {"error": error},
        {"id": "gen-1", "error": error},
        {"choices": [{"message": {"content": ""}, "finish_reason": "error", "error": error}]},
        {"choices": [{"message": {"content": "", "error": error}, "finish_reason": "stop"}]},
    ):
        for function in (read_completion, lambda reply: read_stream(reply).start()):
            with pytest.raises(APIError) as caught:
                function([json.dumps(body).encode()])
            assert type(caught.value) is kind
            assert (caught.value.status, caught.value.reason) == (status, reason)


def test_an_error_event_may_be_the_error_itself_or_mere_words() -> None:
    for data, kind, words in (
        (b'{"code":429,"message":"Slow down"}', RateLimitError, "Slow down"),
        (b"it broke", ServerError, "it broke"),
        (b"", ServerError, ""),
        (b"[1]", ServerError, "[1]"),
    ):
        _, raised = outcome([b"event: error\ndata: %b\n\n" % data])
        assert type(raised) is kind
        assert isinstance(raised, APIError)
        assert raised.upstream_message == words


def test_words_in_the_same_event_come_before_the_error() -> None:
    parts, raised = outcome([sse({**delta(content="last"), "error": RATE})])
    assert [part.text for part in parts] == ["last"]
    assert isinstance(raised, RateLimitError)


@pytest.mark.requirement("O12")
@pytest.mark.parametrize(
    ("reason", "native"),
    [
        ("error", None),
        ("error", "stop"),
        ("stop", "network_error"),
        ("stop", "NETWORK_ERROR"),
        ("stop", "insufficient_system_resource"),
        ("length", "timed_out"),
        ("stop", "upstream_timeout"),
        ("stop", "aborted"),
        *(("stop", native) for native in BROKEN),
        *((reason, None) for reason in ("ERROR", "failed", "timeout", "abort", "cancelled")),
        ("network_error", "stop"),
        ("stop", "MALFORMED_FUNCTION_CALL"),
        ("stop", "UNEXPECTED_TOOL_CALL"),
    ],
)
def test_an_answer_that_broke_off_without_an_error_object(reason: str, native: str | None) -> None:
    end = finished(reason, native_finish_reason=native)
    usage = {"choices": [], "usage": {"cost": 0.5}}
    for rest in ([], ["[DONE]"], [usage], [usage, "[DONE]"]):
        stream = read_stream([sse({"provider": "P", **delta(content="Half")}, end, *rest)])
        assert next(stream).text == "Half"
        with pytest.raises(ProviderError, match="HTTP 502") as caught:
            list(stream)
        assert caught.value.is_retryable
        assert not stream.is_complete
        # The cost is known nevertheless.
        assert (stream.completion.usage is not None) == (usage in rest)
    message = {"message": {"content": "Half"}, "finish_reason": reason}
    body = json.dumps({"choices": [{**message, "native_finish_reason": native}]}).encode()
    with pytest.raises(ProviderError):
        read_completion([body])


def test_the_error_object_that_follows_tells_more() -> None:
    _, raised = outcome([sse(delta(content="x"), finished("error"), {"error": DAILY})])
    assert isinstance(raised, OutOfCreditError)


@pytest.mark.requirement("O12")
@pytest.mark.parametrize(
    ("reason", "native"),
    [
        ("stop", "end_turn"),
        ("stop", "STOP"),
        ("stop", None),
        ("length", "max_output_tokens"),
        ("content_filter", "safety"),
        ("content_filter", "content_policy_error"),
        ("tool_calls", "MALFORMED_FUNCTION_CALL"),
        *(("stop", native) for native in ("completed", "eos", "max_tokens", "OTHER", "unknown")),
        ("length", "incomplete"),
        ("pause", "pause_turn"),
    ],
)
def test_other_ends_are_no_errors(reason: str, native: str | None) -> None:
    for rest in ([], ["[DONE]"]):
        stream = read_stream([sse(finished(reason, native_finish_reason=native), *rest)])
        list(stream)
        assert stream.is_complete
        assert stream.completion.finish_reason == reason


@pytest.mark.requirement("O12", "O27")
@pytest.mark.parametrize(
    ("reason", "native"),
    [
        *(("stop", native) for native in ("SAFETY", "IMAGE_SAFETY", "PROHIBITED_CONTENT")),
        *(("stop", native) for native in ("BLOCKLIST", "RECITATION", "refusal", "ERROR_TOXIC")),
        *(("stop", native) for native in ("content_filter", "guardrail_intervened")),
        ("SAFETY", None),
        ("refusal", "stop"),
    ],
)
def test_an_answer_that_a_filter_ended_says_so(reason: str, native: str | None) -> None:
    end = finished(reason, native_finish_reason=native)
    usage = {**finished("stop"), "usage": {"cost": 1}} if reason == "stop" else {}
    for events in ([end], [end, usage, "[DONE]"]):
        stream = read_stream([sse(delta(content="Half"), *events)])
        assert list(stream)[1].finish_reason == "content_filter"
        assert stream.is_complete
        answer = stream.completion
        assert (answer.finish_reason, answer.native_finish_reason) == ("content_filter", native)
    message = {"message": {"content": "Half"}, "finish_reason": reason}
    body = json.dumps({"choices": [{**message, "native_finish_reason": native}]}).encode()
    assert read_completion([body]).finish_reason == "content_filter"


def test_a_stream_that_breaks_off_is_told_from_a_complete_one() -> None:
    for end in ([], [{"choices": [], "usage": {"cost": 1}}], ['{"choices": [{"del']):
        stream = read_stream([sse(delta(content="Half"), *end)[: -2 if end else None]])
        assert next(stream).text == "Half"
        with pytest.raises(TransportError, match="before the answer was complete") as caught:
            list(stream)
        assert caught.value.was_sent
        assert not stream.is_complete
        assert stream.completion.text == "Half"
    for blocks in ([], [b""], [b"\n \n"], [b": OPENROUTER PROCESSING\n\n"]):
        with pytest.raises(TransportError):
            read_completion(blocks)


def test_the_last_event_need_not_be_terminated_if_it_is_whole() -> None:
    for stream in (
        sse(delta(content="Hi"), "[DONE]"),
        sse(delta(content="Hi"), finished()),
        sse(delta(content="Hi"), finished()).replace(b"\n", b"\r\n"),
    ):
        for cut in (stream.rstrip(), stream.rstrip() + b"\n"):
            assert read_completion([cut]).text == "Hi"


def test_a_stream_of_one_error_need_not_be_terminated() -> None:
    whole_event = b"data: " + json.dumps({"error": RATE}).encode()
    for end in (b"", b"\n", b"\r"):
        _, raised = outcome([whole_event + end])
        assert isinstance(raised, RateLimitError), end
    _, raised = outcome([whole_event[:-5]])
    assert isinstance(raised, TransportError)


@pytest.mark.parametrize("data", ["nonsense", "[]", "null", '"x"', "{", '{"a":1}}', ""])
def test_an_event_that_is_not_an_object_ends_the_stream(data: str) -> None:
    parts, raised = outcome([sse(delta(content="Half"), data, "[DONE]")])
    assert [part.text for part in parts] == ["Half"]
    assert isinstance(raised, InvalidAnswerError)
    assert "not JSON" in str(raised)


def test_an_error_of_the_caller_is_passed_on() -> None:
    def blocks() -> Any:
        yield sse(delta(content="Half"), finished())
        raise ZeroDivisionError

    stream = read_stream(blocks())
    assert next(stream).text == "Half"
    with pytest.raises(ZeroDivisionError):
        list(stream)


def test_no_error_of_a_stream_shows_a_key() -> None:
    key = "sk-or-v1-" + "5eed" * 16
    for form in forms({"code": 400, "message": f"bad {key}", "metadata": {"raw": key}}):
        _, raised = outcome([form])
        assert key not in f"{raised!r} {vars(raised)}"
        assert raised is not None
        assert raised.__context__ is None
    _, raised = outcome([sse(finished("error", native_finish_reason=f"error {key}"))])
    assert key not in f"{raised!r} {vars(raised)}"


def test_a_401_inside_a_200_never_concerns_the_key() -> None:
    for form in (*forms({"code": 401}), whole({}, error={"code": 401}), whole({}, error="401")):
        _, raised = outcome([form])
        assert isinstance(raised, OpenRouterError)
        assert not isinstance(raised, KeyRejectedError)
