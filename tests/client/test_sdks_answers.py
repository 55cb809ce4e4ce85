"""Any bytes that answer ``openai()`` or ``sdk()`` are a value or a typed error."""

from __future__ import annotations

import asyncio
import json
import pickle
import traceback
from contextlib import nullcontext
from typing import Any

import openai
import openrouter
import pytest
from cases import case
from misbehaving import MisbehavingProvider, answer
from sdk_calls import (
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
    raw_response,
    replied,
    stream,
    stream_openai,
)

from flask_openrouter.errors import InvalidAnswerError, ProviderError, TransportError

THEIRS = (openai.APIError, openrouter.errors.OpenRouterError)
#: The package finds that these objects are no answers.
NO_ANSWERS: tuple[Any, ...] = (
    {},
    {"id": "gen-1"},
    {"choices": []},
    {"choices": None},
    {"data": [KEY]},
    {"choices": [{"index": 0, "message": {"role": "assistant", "content": 5}}]},
)


def test_json_that_is_no_answer_is_a_typed_error() -> None:
    for call in (call_sdk, call_sdk_async, lambda clients: call_sdk(clients, stream=True)):
        for body in NO_ANSWERS:
            with case(body), MisbehavingProvider(answer(200, body)) as provider:
                with pytest.raises(InvalidAnswerError) as caught:
                    call(Clients(provider))
                error: Any = caught.value
                assert (error.status, error.status_code) == (200, 200)
                assert isinstance(error, openrouter.errors.ResponseValidationError)
                shown = "".join(traceback.format_exception(error))
                assert KEY not in shown + repr(error) + str(error.body)
                restored = pickle.loads(pickle.dumps(error))  # noqa: S301
                assert (type(restored), str(restored)) == (type(error), str(error))


def test_json_of_another_operation_is_a_typed_error_as_well() -> None:
    calls = {
        "models": lambda sdk: sdk.models.list(),
        "embeddings": lambda sdk: sdk.embeddings.generate(model=MODEL, input="soup"),
        "beta": lambda sdk: sdk.beta.responses.send(model=MODEL, input="soup"),
        "key": lambda sdk: sdk.api_keys.get_current_key_metadata(),
    }
    for name, call in calls.items():
        with (
            case(name),
            MisbehavingProvider(answer(200, {})) as provider,
            Clients(provider).sdk() as sdk,
            pytest.raises(InvalidAnswerError),
        ):
            call(sdk)


def test_the_error_for_malformed_json_holds_none_of_it() -> None:
    """The error of a parser has the whole document."""
    bodies = (b"{oops %b}", b'{"a": "%b", }', b'{"a": "%b"} {}', b'{"a": "%b"}' + b"]" * 5)
    calls: dict[str, Ask] = {
        "openai": call_openai,
        "openai, streamed": stream_openai,
        "openai, raw": lambda clients: raw_response(clients).parse(),
        "openai, models": lambda clients: list_models(clients.openai(max_retries=0)),
        "sdk": call_sdk,
        "sdk, models": lambda clients: list_models(clients.sdk()),
    }
    for name, call in calls.items():
        for body in (each % KEY.encode() for each in bodies):
            act = answer(200, body, {"Content-Type": "application/json"})
            with case(name, body), MisbehavingProvider(act) as provider:
                with pytest.raises(InvalidAnswerError) as caught:
                    call(Clients(provider))
                assert isinstance(caught.value, THEIRS)
                assert not hasattr(caught.value, "doc")
                error: BaseException | None = caught.value
                while error is not None:
                    shown = traceback.TracebackException.from_exception(error, capture_locals=True)
                    frames = [f.locals for f in shown.stack if f.filename != __file__]
                    assert KEY not in f"{frames} {error!r} {vars(error)}"
                    error = error.__context__


def list_models(client: Any) -> Any:
    with client:
        return client.models.list()


@every_caller
def test_what_is_not_json_is_no_answer(ask: Ask) -> None:
    for kind, body in {
        "text/plain": b"Hello",
        "application/octet-stream": b"\x00\xff",
        "image/png": b"\x89PNG",
        "text/plain; charset=nonsense": b"\xff",
    }.items():
        act = answer(200, body, {"Content-Type": kind})
        with case(kind), MisbehavingProvider(act) as provider:
            with pytest.raises(InvalidAnswerError) as caught:
                ask(Clients(provider))
            assert caught.value.status == 200
            assert isinstance(caught.value, THEIRS)


@pytest.mark.requirement("O17", "O22")
@every_streamer
def test_an_event_that_is_no_json_object_is_a_typed_error(ask: Ask) -> None:
    for data in ("no JSON", "{no JSON}", '{"choices": [', "[1]", '"Hi"', "null", "", "NaN"):
        seen: list[Any] = []
        act = stream(f"data: {chunk('Hi')}", f"data: {data}", f"data: {chunk('later')}")
        with case(data), MisbehavingProvider(act) as provider:
            with pytest.raises(InvalidAnswerError) as caught:
                seen.extend(ask(Clients(provider)))
            assert len(seen) == 1
            assert isinstance(caught.value, THEIRS)


def test_an_event_that_is_no_chunk_is_a_typed_error() -> None:
    async def read(clients: Clients) -> None:
        async with clients.sdk() as sdk:
            found = await sdk.chat.send_async(model=MODEL, messages=QUESTION, stream=True)
            async with found:
                seen.extend([each async for each in found])

    def read_now(clients: Clients) -> None:
        with clients.sdk() as sdk:
            seen.extend(sdk.chat.send(model=MODEL, messages=QUESTION, stream=True))

    for call in (read_now, lambda clients: asyncio.run(read(clients))):
        for data in ({}, {"choices": None}, {"id": 1, "choices": [{"delta": KEY}]}):
            seen: list[Any] = []
            with case(data), MisbehavingProvider(stream(f"data: {json.dumps(data)}")) as provider:
                with pytest.raises(InvalidAnswerError) as caught:
                    call(Clients(provider))
                assert isinstance(caught.value, openrouter.errors.ResponseValidationError)
                assert KEY not in "".join(traceback.format_exception(caught.value))


@pytest.mark.requirement("O13")
@every_streamer
def test_a_stream_has_no_half_of_a_surrogate_pair(ask: Ask) -> None:
    for texts, expected in (
        (("a \ud83d", "\ude00 b"), "a \U0001f600 b"),
        (("\ud83d", "", "\ude00"), "\U0001f600"),
        (("a \ud83d b", "\ude00"), "a \ufffd b\ufffd"),
        (("a \ud83d",), "a \ufffd"),
    ):
        act = stream(*(f"data: {chunk(text)}" for text in texts), "data: [DONE]")
        with case(expected), MisbehavingProvider(act) as provider:
            found = list(ask(Clients(provider)))
        assert "".join(each.choices[0].delta.content for each in found) == expected


@pytest.mark.requirement("O13")
def test_a_whole_answer_has_no_half_of_a_surrogate_pair() -> None:
    for content, expected in (
        (rb"\ud83d", "\ufffd"),
        (rb"\ude00\uD83D\uDE00", "\ufffd\U0001f600"),
        (rb"\\ud83d", "\\ud83d"),
        (b"\xed\xa0\xbd \xff", "\ufffd\ufffd\ufffd \ufffd"),
    ):
        body = json.dumps(replied(content="?")).encode().replace(b"?", content)
        act = answer(200, body, {"Content-Type": "application/json"})
        for call in (call_openai, call_sdk, call_sdk_async):
            with case(content), MisbehavingProvider(act) as provider:
                assert call(Clients(provider)).choices[0].message.content == expected


@pytest.mark.requirement("O12")
@every_caller
def test_a_whole_answer_that_broke_off_is_an_error(ask: Ask) -> None:
    for members in (
        {"finish_reason": "error"},
        {"native_finish_reason": "network_error"},
        {"finish_reason": "error", "error": {"code": 502, "metadata": {"provider_name": "P"}}},
    ):
        for text in ("Half", "x" * 70_000):
            act = answer(200, replied(text, **members))
            with case(members, len(text)), MisbehavingProvider(act) as provider:
                with pytest.raises(ProviderError) as caught:
                    ask(Clients(provider))
                assert caught.value.status == 502
                assert isinstance(caught.value, THEIRS)


@pytest.mark.requirement("O12")
@every_streamer
def test_a_stream_that_broke_off_is_an_error(ask: Ask) -> None:
    end = {"index": 0, "delta": {"content": ""}, "finish_reason": "error"}
    for rest, kind in (
        ([chunk("", choices=[end]), "[DONE]"], ProviderError),
        ([chunk("", choices=[{**end, "finish_reason": "stop"}])], None),
        ([], TransportError),
    ):
        seen: list[Any] = []
        act = stream(*(f"data: {each}" for each in (chunk("Hi"), *rest)))
        with case(kind), MisbehavingProvider(act) as provider:
            with pytest.raises(kind) if kind else nullcontext():
                seen.extend(ask(Clients(provider)))
            assert len(seen) == 1 + bool(rest)


@pytest.mark.requirement("O12")
def test_a_stream_of_responses_without_its_last_event_broke_off() -> None:
    act = stream(f"data: {json.dumps({'type': 'response.created', 'response': {}})}")
    with MisbehavingProvider(act) as provider, Clients(provider).openai() as client:
        seen: list[Any] = []
        with pytest.raises(TransportError):
            seen.extend(client.responses.create(model=MODEL, input="soup", stream=True))
        assert [each.type for each in seen] == ["response.created"]


@pytest.mark.requirement("O17")
@every_streamer
def test_a_stream_is_read_as_the_standard_says(ask: Ask) -> None:
    """Comments, and events without data, are no words. A byte order mark may come first."""
    for before in ("\ufeff", ": OPENROUTER PROCESSING\n\n", "event: ping\n\n", "id: 1\n\n"):
        body = f"{before}data: {chunk('Hi')}\n\nretry: 3000\n\ndata: [DONE]\n\n"
        act = answer(200, body.encode(), {"Content-Type": "text/event-stream"})
        with case(before), MisbehavingProvider(act) as provider:
            found = list(ask(Clients(provider)))
        assert [each.choices[0].delta.content for each in found] == ["Hi"]


@every_streamer
def test_a_stream_that_ends_within_an_event_is_a_lost_connection(ask: Ask) -> None:
    for rest in ('data: {"id": "gen-1", "choi', "data: {", "data: "):
        seen: list[Any] = []
        body = f"data: {chunk('Hi')}\n\n{rest}".encode()
        act = answer(200, body, {"Content-Type": "text/event-stream"})
        with case(rest), MisbehavingProvider(act) as provider:
            with pytest.raises(TransportError) as caught:
                seen.extend(ask(Clients(provider)))
            assert caught.value.was_sent
            assert len(seen) == 1


def test_an_answer_of_another_kind_is_left_to_the_package() -> None:
    act = answer(200, b"Hello", {"Content-Type": "text/plain"})
    with MisbehavingProvider(act) as provider, Clients(provider).openai() as client:
        found = client.audio.transcriptions.create(
            model=MODEL, file=("a.wav", b"RIFF"), response_format="text"
        )
    assert found == "Hello"


def test_a_whole_event_at_the_end_counts_without_its_blank_line() -> None:
    for last in ({"content": " you"}, {"content": " \ud83d"}):
        end = {"choices": [{"index": 0, "delta": last, "finish_reason": "stop"}]}
        body = f"data: {chunk('Hi')}\n\ndata: {chunk('', **end)}".encode()
        act = answer(200, body, {"Content-Type": "text/event-stream"})
        with case(last), MisbehavingProvider(act) as provider:
            found = stream_openai(Clients(provider))
        text = "".join(each.choices[0].delta.content for each in found)
        assert text == "Hi" + last["content"].replace("\ud83d", "\ufffd")


def test_the_methods_of_the_package_keep_their_names_and_their_help() -> None:
    with MisbehavingProvider(answer(200, {})) as provider, Clients(provider).sdk() as sdk:
        assert sdk.chat.send.__name__ == "send"
        assert sdk.chat.send.__doc__ == openrouter.chat.Chat.send.__doc__
        assert isinstance(sdk.chat, openrouter.chat.Chat)
        assert sdk.chat is sdk.chat


def test_a_wrong_argument_is_the_callers_own_error() -> None:
    with MisbehavingProvider(answer(200, {})) as provider, Clients(provider).openai() as client:
        with pytest.raises(TypeError):
            ask_openai(client, no_such_argument=1)
        with Clients(provider).sdk() as sdk, pytest.raises(TypeError):
            sdk.chat.send(messages=QUESTION, no_such_argument=1)
