"""The errors of ``openai()`` and ``sdk()`` are those of the session, in every form."""

from __future__ import annotations

import asyncio
import json
import pickle
import threading
import traceback
from contextvars import ContextVar
from typing import Any

import openai
import openrouter
import pytest
from cases import case
from misbehaving import MisbehavingProvider, answer, drip, reset
from sdk_calls import (
    KEY,
    MODEL,
    QUESTION,
    Ask,
    Clients,
    ask_openai,
    call_openai,
    call_sdk,
    chunk,
    every_caller,
    every_streamer,
    stream,
    stream_openai,
)

from flask_openrouter.errors import (
    APIError,
    BadRequestError,
    ForbiddenError,
    InvalidAnswerError,
    KeyRejectedError,
    KeyStorageError,
    NotFoundError,
    OpenRouterError,
    OutOfCreditError,
    ProviderError,
    RateLimitError,
    ServerError,
    TransportError,
    TransportTimeoutError,
)

THEIRS = (openai.APIError, openrouter.errors.OpenRouterError)


def error(code: int, message: str = "No", **metadata: Any) -> dict[str, Any]:
    return {"error": {"code": code, "message": message, "metadata": metadata}}


@pytest.mark.requirement("O1", "O2", "O7", "O9", "O10", "O21", "O23", "O24")
@every_caller
def test_each_status_is_the_sessions_error_and_the_packages(ask: Ask) -> None:
    budget = {"limit_source": "openrouter_workspace_budget"}
    for status, body, kind, reason in [
        (400, {"success": False, "error": {"name": "ZodError"}}, BadRequestError, None),
        (401, error(401, provider_name="A"), ProviderError, None),
        (402, error(402, reason="in_flight_budget_exhausted"), RateLimitError, "in_flight_budget"),
        (402, error(402), OutOfCreditError, "account"),
        (403, error(403, "Budget limit exceeded", **budget), OutOfCreditError, "workspace_budget"),
        (403, error(403, reasons=["x"], provider_name="A"), ForbiddenError, "moderation"),
        (404, error(404, "No endpoints found matching your data policy"), NotFoundError, "privacy"),
        (418, error(418), APIError, None),
        (429, error(429, "Rate limit exceeded: free-models-per-day"), RateLimitError, "free_daily"),
        (500, error(500), ServerError, None),
        (524, "<title>524</title>", ServerError, None),
    ]:
        with case(status, body), MisbehavingProvider(answer(status, body)) as provider:
            with pytest.raises(kind) as caught:
                ask(Clients(provider))
            found: Any = caught.value
            assert (found.status, found.reason) == (status, reason)
            assert isinstance(found, THEIRS)
            assert found.status_code == status
            assert found.message == str(found)
            restored = pickle.loads(pickle.dumps(found))  # noqa: S301
            assert (type(restored), str(restored)) == (type(found), str(found))


def test_the_error_is_of_the_packages_class_for_the_status() -> None:
    for status, of_openai, of_sdk in [
        (400, openai.BadRequestError, "BadRequestResponseError"),
        (404, openai.NotFoundError, "NotFoundResponseError"),
        (429, openai.RateLimitError, "TooManyRequestsResponseError"),
        (502, openai.InternalServerError, "BadGatewayResponseError"),
    ]:
        with (
            case(status),
            MisbehavingProvider(answer(status, error(status, "Says why"))) as provider,
        ):
            with pytest.raises(of_openai) as caught:
                call_openai(Clients(provider))
            assert caught.value.body == error(status, "Says why")["error"]
            with pytest.raises(getattr(openrouter.errors, of_sdk)) as caught_too:
                call_sdk(Clients(provider))
            assert caught_too.value.data.error.message == "Says why"


@pytest.mark.requirement("O11", "O22")
@every_caller
def test_an_error_inside_a_200_is_an_error(ask: Ask) -> None:
    for body, kind, status in [
        (error(429, "Rate limit exceeded: free-models-per-min"), RateLimitError, 429),
        ({"id": "gen-1", **error(502, provider_name="A")}, ProviderError, 502),
        ({"error": {"message": "No code"}}, ServerError, 502),
    ]:
        with case(body), MisbehavingProvider(answer(200, body)) as provider:
            with pytest.raises(kind) as caught:
                ask(Clients(provider))
            assert caught.value.status == status  # type: ignore[attr-defined]
            assert isinstance(caught.value, THEIRS)


@pytest.mark.requirement("O3", "O22")
@every_caller
def test_a_401_inside_a_200_is_not_asked_about(ask: Ask) -> None:
    asked: list[Any] = []
    body = {"id": "gen-1", **error(401, "User not found.")}
    with MisbehavingProvider(answer(200, body)) as provider:
        with pytest.raises(APIError) as caught:
            ask(Clients(provider, lambda *given: asked.append(given)))
        assert not isinstance(caught.value, KeyRejectedError)
        assert (caught.value.status, caught.value.reason) == (401, "unconfirmed")
        assert caught.value.is_retryable
    assert asked == []


@pytest.mark.requirement("O6", "O12", "O22")
@every_streamer
def test_an_error_in_a_stream_is_raised_after_the_words_before_it(ask: Ask) -> None:
    limit = error(403, "Key limit exceeded (daily limit). Manage it")["error"]
    choice = {"index": 0, "delta": {"content": ""}, "finish_reason": "error", "error": limit}
    for name, failing in {
        "chunk": f"data: {json.dumps({'id': 'gen-1', 'error': limit})}",
        "separators": f'data: {{"a": "\u2028\x85", "error": {json.dumps(limit)}}}',
        "chunk with choices": f"data: {chunk('', error=limit)}",
        "on a choice": f"data: {chunk('', choices=[choice])}",
        "event": f"event: error\ndata: {json.dumps(limit)}",
        "event, top level": f"event: error\ndata: {json.dumps({'error': limit})}",
        "two lines": f'data: {{"error":\ndata: {json.dumps(limit)}}}',
    }.items():
        for end in ("\n\n", "\r\n\r\n", "\r\r"):
            words = (": OPENROUTER PROCESSING", f"data: {chunk('Hi')}", f"data: {chunk(' you')}")
            last = failing.replace("\n", end[: len(end) // 2])
            act = stream(*words, last, "data: [DONE]", end=end)
            with case(name, end), MisbehavingProvider(act) as provider:
                seen: list[str] = []
                with pytest.raises(OutOfCreditError) as caught:
                    seen.extend(c.choices[0].delta.content for c in ask(Clients(provider)))
                assert seen == ["Hi", " you"]
                assert (caught.value.status, caught.value.reason) == (403, "key_limit")
                assert isinstance(caught.value, THEIRS)
                assert KEY not in repr(vars(caught.value))


@every_streamer
def test_an_error_event_may_be_mere_words(ask: Ask) -> None:
    for data, words in (("it broke", "it broke"), ('"it broke"', '"it broke"'), ("", "")):
        act = stream(f"data: {chunk('Hi')}", f"event: error\ndata: {data}")
        with case(data), MisbehavingProvider(act) as provider:
            with pytest.raises(ServerError) as caught:
                list(ask(Clients(provider)))
            assert caught.value.upstream_message == words
            assert isinstance(caught.value, THEIRS)


@every_caller
def test_a_page_or_a_redirect_is_no_answer(ask: Ask) -> None:
    page = b"<html><b>Log in to the network</b></html>"
    for status in (200, 302, 308):
        headers = {
            "Content-Type": "text/html; charset=utf-8",
            "Location": "https://portal.example/",
        }
        with case(status), MisbehavingProvider(answer(status, page, headers)) as provider:
            with pytest.raises(InvalidAnswerError) as caught:
                ask(Clients(provider))
            assert caught.value.status == status
            assert isinstance(caught.value, THEIRS)


@pytest.mark.requirement("W9")
@every_caller
def test_a_lost_connection_can_be_pickled(ask: Ask) -> None:
    with MisbehavingProvider(reset()) as provider, pytest.raises(TransportError) as caught:
        ask(Clients(provider))
    restored = pickle.loads(pickle.dumps(caught.value))  # noqa: S301
    assert (type(restored), str(restored)) == (type(caught.value), str(caught.value))


@every_caller
def test_json_that_is_cut_short_is_no_answer(ask: Ask) -> None:
    for body in (b"", b"null", b"[1]", b'{"id": "gen-1", "choi', b"\xff\xfe{"):
        act = answer(200, body, {"Content-Type": "application/json"})
        with case(body), MisbehavingProvider(act) as provider:
            with pytest.raises(InvalidAnswerError) as caught:
                ask(Clients(provider))
            assert caught.value.status == 200
            assert isinstance(caught.value, THEIRS)


@every_streamer
def test_bytes_of_a_stream_that_are_no_text_are_replaced(ask: Ask) -> None:
    body = f"data: {chunk('n?o')}\n\ndata: [DONE]\n\n".encode().replace(b"?", b"\xff")
    act = answer(200, body, {"Content-Type": "text/event-stream"})
    with MisbehavingProvider(act) as provider:
        found = [c.choices[0].delta.content for c in ask(Clients(provider))]
    assert found == ["n\ufffdo"]


def test_a_stored_page_is_an_answer() -> None:
    act = answer(200, b"<p>stored</p>", {"Content-Type": "text/html"})
    with MisbehavingProvider(act) as provider, Clients(provider).openai() as client:
        assert client.files.content("file-1").text == "<p>stored</p>"


@pytest.mark.requirement("O22")
@every_streamer
def test_a_stream_without_an_error_arrives_whole(ask: Ask) -> None:
    words = [f"data: {chunk(text)}" for text in ("an error", ' "error"', "\u00e9", "failed")]
    body = "".join(f"{event}\r\n\r\n" for event in [*words, "data: [DONE]"]).encode()
    head = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nConnection: close\r\n\r\n"
    for act in (
        stream(*words, "data: [DONE]"),
        stream(": an error", *words, "data: [DONE]"),
        drip(body, 0.0, after=head),
    ):
        with MisbehavingProvider(act) as provider:
            found = [c.choices[0].delta.content for c in ask(Clients(provider))]
        assert found == ["an error", ' "error"', "\u00e9", "failed"]


def test_an_error_at_the_end_of_a_stream_that_is_cut_is_raised() -> None:
    body = f"data: {chunk('Hi')}\n\ndata: {json.dumps(error(429))}".encode()
    act = answer(200, body, {"Content-Type": "text/event-stream"})
    with MisbehavingProvider(act) as provider, pytest.raises(RateLimitError):
        stream_openai(Clients(provider))


@pytest.mark.requirement("O12")
def test_an_asynchronous_stream_raises_its_error() -> None:
    async def ask(clients: Clients, seen: list[str]) -> None:
        async with clients.sdk() as client:
            found = await client.chat.send_async(model=MODEL, messages=QUESTION, stream=True)
            async for one in found:
                seen.append(one.choices[0].delta.content)

    seen: list[str] = []
    act = stream(f"data: {chunk('Hi')}", f"data: {json.dumps(error(429))}")
    with MisbehavingProvider(act) as provider, pytest.raises(RateLimitError):
        asyncio.run(ask(Clients(provider), seen))
    with (
        MisbehavingProvider(stream(f"data: {chunk('Hi')}")) as provider,
        pytest.raises(TransportError, match="before the answer was complete"),
    ):
        asyncio.run(ask(Clients(provider), seen))
    last = {"index": 0, "delta": {"content": "."}, "finish_reason": "stop"}
    for end in ("[DONE]", chunk("", choices=[last])):
        with MisbehavingProvider(stream(f"data: {chunk('Hi')}", f"data: {end}")) as provider:
            asyncio.run(ask(Clients(provider), seen))
    assert seen == ["Hi", "Hi", "Hi", "Hi", "."]


@pytest.mark.requirement("O3")
@every_caller
def test_on_unauthorized_decides_what_a_401_means(ask: Ask) -> None:
    unsure = APIError(401, reason="unconfirmed", is_retryable=True)
    for decided in (unsure, None, TransportTimeoutError("No answer about the key")):
        given: list[Any] = []

        def decide(*what: Any, given: list[Any] = given, decided: Any = decided) -> Any:
            given.extend(what)
            return decided

        refusal = answer(401, error(401, "User not found."))
        with MisbehavingProvider(refusal) as provider:
            with pytest.raises(OpenRouterError) as caught:
                ask(Clients(provider, decide))
            rejected, seconds = given
            assert isinstance(rejected, KeyRejectedError)
            assert 0 < seconds <= 60
            expected = rejected if decided is None else decided
            assert isinstance(caught.value, type(expected))
            assert isinstance(caught.value, THEIRS)
            assert str(caught.value) == str(expected)


@pytest.mark.requirement("O3", "R65")
@every_caller
def test_an_exception_of_on_unauthorized_shows_no_key(ask: Ask) -> None:
    def fail(*_: Any) -> OpenRouterError:
        raise KeyStorageError("The storage failed")

    with (
        MisbehavingProvider(answer(401, error(401))) as provider,
        pytest.raises(KeyStorageError) as caught,
    ):
        ask(Clients(provider, fail))
    shown = traceback.TracebackException.from_exception(caught.value, capture_locals=True)
    frames = [repr(frame.locals) for frame in shown.stack if frame.filename != __file__]
    assert len(frames) > 2
    assert KEY not in "\n".join(frames)


@pytest.mark.requirement("O3")
def test_an_asynchronous_client_asks_in_a_thread_with_the_context() -> None:
    """The loop runs meanwhile."""
    request = ContextVar[str]("request")
    asked, went_on = threading.Event(), threading.Event()
    seen: list[Any] = []

    def decide(error: KeyRejectedError, seconds: float) -> OpenRouterError:
        asked.set()
        seen.append((request.get(), went_on.wait(60), threading.current_thread()))
        return error

    async def ask(clients: Clients) -> None:
        request.set("mine")
        async with clients.sdk() as client:
            call = asyncio.create_task(client.chat.send_async(model=MODEL, messages=QUESTION))
            while not asked.is_set():
                await asyncio.sleep(0)
            went_on.set()
            with pytest.raises(KeyRejectedError):
                await call

    with MisbehavingProvider(answer(401, error(401))) as provider:
        asyncio.run(ask(Clients(provider, decide)))
    ((value, was_running, thread),) = seen
    assert (value, was_running) == ("mine", True)
    assert thread is not threading.main_thread()


def test_the_packages_still_try_again_as_they_are_told() -> None:
    good = stream(f"data: {chunk('Hi')}", "data: [DONE]")
    for failing in (answer(503, error(503)), answer(200, error(429))):
        with MisbehavingProvider([failing, good]) as provider:
            with Clients(provider).openai(max_retries=1) as client:
                assert len(list(ask_openai(client, stream=True))) == 1
            assert len(provider.requests) == 2
    retry = openrouter.utils.RetryConfig(
        "backoff", openrouter.utils.BackoffStrategy(1, 1, 1, 5000), True
    )
    with MisbehavingProvider([answer(503, error(503)), good]) as provider:
        with Clients(provider).sdk(retry_config=retry) as client:
            found = client.chat.send(model=MODEL, messages=QUESTION, stream=True)
            assert len(list(found)) == 1
        assert len(provider.requests) == 2


@pytest.mark.requirement("R64")
@every_caller
def test_a_body_that_repeats_the_key_is_not_in_the_error(ask: Ask) -> None:
    echo = {"error": {"code": KEY, "type": KEY, "message": KEY, "metadata": {"a": [KEY]}}}
    for status in (400, 401, 402, 429, 500):
        act = answer(status, echo, {"X-Echo": KEY})
        with case(status), MisbehavingProvider(act) as provider:
            with pytest.raises(APIError) as caught:
                ask(Clients(provider))
            held = ("response", "raw_response", "request")
            shown = {name: v for name, v in vars(caught.value).items() if name not in held}
            assert KEY not in repr(shown)
            assert KEY not in repr(caught.value)
