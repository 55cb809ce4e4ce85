"""The usage of a key on a page, after a call failed because credit or a limit is spent."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from typing import Any

import pytest
from cases import case
from flask import Flask
from visitor import Visitor

from flask_openrouter import current_openrouter
from flask_openrouter.client import read_completion, read_stream
from flask_openrouter.emulator import Emulator
from flask_openrouter.errors import OutOfCreditError

Show = Callable[..., str]

USAGE = "{{ openrouter_usage() }}"
BODY: dict[str, Any] = {
    "model": "openai/gpt-4o-mini",
    "messages": [{"role": "user", "content": "Hello?"}],
}
CHAT = "/api/v1/chat/completions"


def post(**options: Any) -> Any:
    body = BODY | ({"stream": True} if "stream" in options else {})
    return current_openrouter.session.post("chat/completions", json=body, **options)


def by_session() -> None:
    post().raise_for_status()


def by_stream() -> None:
    with read_stream(post(stream=True)) as stream:
        list(stream)


def by_completion() -> None:
    read_completion(post(stream=True))


def by_openai() -> None:
    with current_openrouter.openai(max_retries=0) as client:
        client.chat.completions.create(**BODY)


def by_openai_stream() -> None:
    with current_openrouter.openai(max_retries=0) as client:
        list(client.chat.completions.create(**BODY, stream=True))


def by_sdk() -> None:
    with current_openrouter.sdk() as client:
        client.chat.send(**BODY)


def by_sdk_stream() -> None:
    with current_openrouter.sdk() as client:
        list(client.chat.send(**BODY, stream=True))


def in_a_thread_or_stream() -> None:
    connection = current_openrouter.detach()
    connection.session.post("chat/completions", json=BODY).raise_for_status()


CALLS = (
    *(by_session, by_stream, by_completion, by_openai, by_openai_stream, by_sdk, by_sdk_stream),
    in_a_thread_or_stream,
)
STREAMS = (by_stream, by_completion, by_openai_stream, by_sdk_stream)
#: Errors without a stream, as the emulator plays them: a status, and one inside a 200.
REFUSALS: tuple[dict[str, Any], ...] = (
    {"status": 402, "body": {"error": {"code": 402, "message": "Insufficient credits"}}},
    {"status": 403, "body": {"error": {"code": 403, "message": "Key limit exceeded."}}},
    {"status": 200, "body": {"error": {"code": 402, "message": "Insufficient credits"}}},
)


@pytest.fixture
def connected(app: Flask, visitor: Visitor, emulator: Emulator) -> Visitor:
    def call() -> str:
        with suppress(OutOfCreditError):
            app.config["CALL"]()
            return "answered"
        return "out of credit"

    app.add_url_rule("/call", view_func=call)
    visitor.connect(emulator)
    return visitor


def key_of(visitor: Visitor) -> str:
    with visitor.client:
        visitor.get("/guarded")
        return current_openrouter.api_key


def call_of(app: Flask, visitor: Visitor, call: Callable[[], None]) -> str:
    app.config["CALL"] = call
    return visitor.get("/call").text


def asked(emulator: Emulator) -> int:
    return emulator.count("GET", "/api/v1/key")


@pytest.mark.requirement("W19")
def test_a_refusal_for_lack_of_credit_makes_the_usage_fresh(
    app: Flask, show: Show, connected: Visitor, emulator: Emulator
) -> None:
    api_key = key_of(connected)
    for call in CALLS:
        for fault in REFUSALS:
            with case(call.__name__, fault):
                emulator.set_key(api_key, limit=5, usage=0)
                with emulator.faults(path=CHAT, **fault):
                    call_of(app, connected, call)
                assert "$5.00 left" in show(USAGE)
                emulator.set_key(api_key, limit=5, usage=5)
                assert "$5.00 left" in show(USAGE)
                with emulator.faults(path=CHAT, **fault):
                    assert call_of(app, connected, call) == "out of credit"
                assert "$0.00 left" in show(USAGE)
                before = asked(emulator)
                show(USAGE)
                assert asked(emulator) == before


@pytest.mark.requirement("W19")
def test_a_key_limit_in_a_stream_makes_the_usage_fresh(
    app: Flask, show: Show, connected: Visitor, emulator: Emulator
) -> None:
    api_key = key_of(connected)
    for call in STREAMS:
        with case(call.__name__):
            show(USAGE)
            emulator.set_key(api_key, limit=5, usage=5 - STREAMS.index(call) - 1)
            with emulator.faults("key_limit_in_stream"):
                assert call_of(app, connected, call) == "out of credit"
            assert f"${STREAMS.index(call) + 1}.00 left" in show(USAGE)


@pytest.mark.requirement("W19")
def test_a_key_that_is_connected_again_has_fresh_usage(
    show: Show, connected: Visitor, emulator: Emulator
) -> None:
    emulator.set_key(key_of(connected), limit=5, usage=5)
    assert "$0.00 left" in show(USAGE)
    connected.connect(emulator)
    api_key = key_of(connected)
    emulator.set_key(api_key, limit=5, usage=1)
    assert "$4.00 left" in show(USAGE)
    emulator.set_key(api_key, limit=10, usage=1)
    same = {"key": api_key, "user_id": "user_emulated"}
    with emulator.faults(path="/api/v1/auth/keys", status=200, body=same):
        connected.connect(emulator)
    assert key_of(connected) == api_key
    assert "$9.00 left" in show(USAGE)


@pytest.mark.requirement("W19")
def test_other_errors_and_other_keys_leave_the_usage_alone(
    app: Flask, show: Show, connected: Visitor, emulator: Emulator
) -> None:
    other = Visitor(app)
    other.connect(emulator)
    show(USAGE)
    before = asked(emulator)
    for fault in ({"status": 402}, {"status": 403, "body": REFUSALS[1]["body"]}):
        with emulator.faults(path=CHAT, **fault):
            assert call_of(app, other, by_session) == "out of credit"
    for status in (429, 500):
        with emulator.faults(path=CHAT, status=status):
            app.config["CALL"] = post
            connected.get("/call")
    show(USAGE)
    assert asked(emulator) == before


@pytest.mark.requirement("W19")
def test_a_key_that_cannot_be_asked_about_is_not_asked_about_at_once(
    show: Show, connected: Visitor, emulator: Emulator
) -> None:
    with emulator.faults(times=None, status=402, path="/api/v1/key"):
        assert show(USAGE) == ""
        before = asked(emulator)
        assert show(USAGE) == ""
    assert asked(emulator) == before
