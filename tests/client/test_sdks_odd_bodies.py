"""Bodies in other encodings, that cannot be read, without a media type: each client copes."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest
from cases import case
from misbehaving import MisbehavingProvider, answer, flood, http_answer, raw
from sdk_calls import (
    GOOD,
    KEY,
    MODEL,
    QUESTION,
    Ask,
    Clients,
    ask_openai,
    call_openai,
    call_sdk,
    call_sdk_async,
    chunk,
    every_caller,
    every_streamer,
    replied,
    stream,
)

from flask_openrouter.errors import (
    InvalidAnswerError,
    KeyRejectedError,
    OpenRouterError,
    OutOfCreditError,
    RateLimitError,
    ServerError,
    TransportError,
)

STATUSES = (
    (401, KeyRejectedError),
    (402, OutOfCreditError),
    (429, RateLimitError),
    (503, ServerError),
)
END = json.dumps({"choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]})


def error(status: int) -> bytes:
    return json.dumps({"error": {"code": status, "message": "No"}}).encode()


def text_of(answer: Any) -> str:
    return str(answer.choices[0].message.content)


def texts_of(answer: Any) -> str:
    return "".join(part.choices[0].delta.content or "" for part in answer)


def stream_async(clients: Clients) -> list[Any]:
    async def ask() -> list[Any]:
        async with clients.sdk() as client:
            sent = client.chat.send_async(model=MODEL, messages=QUESTION, stream=True)
            return [part async for part in await sent]

    return asyncio.run(ask())


def untyped(body: bytes) -> Any:
    """Answer without a media type."""
    return raw(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%b" % (len(body), body))


def test_a_whole_answer_in_another_encoding_is_read_and_paid_once() -> None:
    body = json.dumps(replied("Grüße"), ensure_ascii=False)

    def with_retries(clients: Any) -> Any:
        with clients.openai() as client:
            return ask_openai(client)

    for encoding in ("utf-8-sig", "utf-16", "utf-16-be", "utf-32"):
        for call in (with_retries, call_sdk, call_sdk_async):
            with case(encoding, call), MisbehavingProvider(answer(200, body.encode(encoding))) as p:
                assert text_of(call(Clients(p))) == "Grüße"
                assert len(p.requests) == 1


@every_caller
def test_no_charset_of_a_response_hides_its_status(ask: Ask) -> None:
    for charset in ("utf-16", "idna", "hex", "rot13", "undefined", "nonsense"):
        kind = {"Content-Type": f"application/json; charset={charset}"}
        for status, expected in STATUSES:
            act = answer(status, error(status), kind)
            with case(charset, status), MisbehavingProvider(act) as p, pytest.raises(expected):
                ask(Clients(p))


def test_no_charset_of_a_response_loses_the_answer() -> None:
    for charset in ("utf-16", "hex", "undefined"):
        kind = {"Content-Type": f"application/json; charset={charset}"}
        for call in (call_openai, call_sdk, call_sdk_async):
            act = answer(200, replied("Hi."), kind)
            with case(charset, call), MisbehavingProvider(act) as provider:
                assert text_of(call(Clients(provider))) == "Hi."


@every_caller
def test_an_error_whose_body_cannot_be_read_keeps_its_status(ask: Ask) -> None:
    for status, expected in STATUSES:
        body = error(status)
        for act in (
            answer(status, body, {"Content-Encoding": "gzip", "Retry-After": "7"}),
            raw(http_answer(status, body, {"Retry-After": "7"}, length=999)),
            flood(
                b" " * 65536, after=http_answer(status, b"", {"Retry-After": "7"}, length=10**12)
            ),
        ):
            with case(status), MisbehavingProvider(act) as provider:
                with pytest.raises(expected) as caught:
                    ask(Clients(provider))
                assert isinstance(caught.value, OpenRouterError)
                if isinstance(caught.value, RateLimitError):
                    assert caught.value.retry_after == 7


@every_caller
def test_a_body_that_is_no_error_has_to_be_complete(ask: Ask) -> None:
    act = raw(http_answer(200, b'{"choices": ', length=999))
    with MisbehavingProvider(act) as provider, pytest.raises(TransportError):
        ask(Clients(provider))


@every_streamer
def test_a_stream_without_a_media_type_is_a_stream(ask: Ask) -> None:
    begin = f"data: {chunk('Hi.')}\n\n".encode()
    end = f"data: {chunk('', **json.loads(END))}\n\ndata: [DONE]\n\n".encode()
    with MisbehavingProvider(untyped(begin + end)) as provider:
        assert texts_of(ask(Clients(provider))) == "Hi."
    for body, expected in (
        (begin, TransportError),
        (begin + b"data: " + error(402) + b"\n\n", OutOfCreditError),
        (begin + b"data: {\n\n", InvalidAnswerError),
        (error(402), OutOfCreditError),
        (json.dumps(json.loads(error(402)), indent=1).encode(), OutOfCreditError),
    ):
        with case(body), MisbehavingProvider(untyped(body)) as p, pytest.raises(expected):
            list(ask(Clients(p)))


def test_an_answer_that_is_called_a_stream_is_read_as_json() -> None:
    kind = {"Content-Type": "text/event-stream"}
    for call in (call_openai, call_sdk_async):
        for body, expected in (
            (error(402), OutOfCreditError),
            (f"data: {chunk('Hi.')}\n\n".encode(), InvalidAnswerError),
        ):
            act = answer(200, body, kind)
            with case(call, body), MisbehavingProvider(act) as p, pytest.raises(expected):
                call(Clients(p))


@every_streamer
def test_nothing_between_events_with_ids_is_an_event(ask: Ask) -> None:
    begin = f"id: 1\ndata: {chunk('Hi.')}"
    last = f"data: {chunk('', **json.loads(END))}"
    for events in (
        (begin, ": OPENROUTER PROCESSING", last, "data: [DONE]"),
        (begin + "\n\n", "\n\n\n" + last, ":", "data: [DONE]\n"),
        (begin, "event: x", last),
    ):
        with case(events), MisbehavingProvider(stream(*events)) as provider:
            assert texts_of(ask(Clients(provider))) == "Hi."
    act = answer(200, f"{begin}\n\n{last}\n", {"Content-Type": "text/event-stream"})
    for call in (ask, stream_async):
        with case(call), MisbehavingProvider(act) as provider:
            assert texts_of(call(Clients(provider))) == "Hi."


def test_an_event_that_the_package_cannot_read_is_a_typed_error() -> None:
    deep = json.loads("[" * 600 + "]" * 600)
    events = (chunk("Hi.", odd=deep), END)
    for call in (lambda clients: list(call_sdk(clients, stream=True)), stream_async):
        with MisbehavingProvider(stream(*map("data: ".__add__, events))) as provider:
            with pytest.raises(InvalidAnswerError, match="nested") as caught:
                call(Clients(provider))
            assert KEY not in repr(caught.value)


def test_a_hook_of_the_app_may_read_the_text_before() -> None:
    import httpx

    def look(response: httpx.Response) -> None:
        response.read()
        assert response.text

    with (
        httpx.Client(event_hooks={"response": [look]}) as own,
        MisbehavingProvider([GOOD, answer(402, error(402))]) as provider,
        Clients(provider).openai(http_client=own, max_retries=0) as client,
    ):
        assert text_of(ask_openai(client)) == "Hi."
        with pytest.raises(OutOfCreditError):
            ask_openai(client)
