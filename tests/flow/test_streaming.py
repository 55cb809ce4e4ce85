"""The key in a streamed response, in a thread, and after the request."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from typing import Any

import pytest
from flask import Flask, Response, stream_with_context
from visitor import Visitor, fingerprint

from flask_openrouter import current_openrouter, requires_openrouter_key
from flask_openrouter.emulator import Emulator
from flask_openrouter.errors import KeyRejectedError
from flask_openrouter.signals import key_disconnected

CHAT: dict[str, Any] = {
    "model": "openai/gpt-4o-mini",
    "messages": [{"role": "user", "content": "Hello?"}],
    "stream": True,
}


@pytest.mark.parametrize("storage_uri", [None, "memory://"])
def test_a_streamed_response_uses_the_key_to_its_end(
    make_app: Any, emulator: Emulator, storage_uri: str | None
) -> None:
    app = make_app(OPENROUTER_STORAGE_URI=storage_uri)

    @app.get("/stream")
    @requires_openrouter_key
    def stream() -> Response:
        @stream_with_context
        def lines() -> Iterator[bytes]:
            with current_openrouter.session.post(
                "chat/completions", json=CHAT, stream=True
            ) as answer:
                yield from answer.iter_lines()

        return Response(lines())

    visitor = Visitor(app)
    visitor.connect(emulator)
    assert visitor.get("/stream").text.endswith("data: [DONE]")


def test_a_key_that_dies_during_the_stream_is_forgotten_and_the_view_gets_the_error(
    make_app: Any, emulator: Emulator
) -> None:
    app: Flask = make_app(OPENROUTER_STORAGE_URI="memory://")
    heard: list[str] = []

    @app.get("/stream")
    @requires_openrouter_key
    def stream() -> Response:
        @stream_with_context
        def words() -> Iterator[str]:
            yield "begun "
            emulator.revoke(current_openrouter.api_key)
            try:
                current_openrouter.session.get("key")
            except KeyRejectedError:
                yield "rejected"

        return Response(words())

    visitor = Visitor(app)
    visitor.connect(emulator)
    with key_disconnected.connected_to(lambda sender, **news: heard.append(news["reason"]), app):
        answer = visitor.get("/stream")
        assert (answer.status_code, answer.text) == (200, "begun rejected")
    assert heard == ["rejected"]
    assert visitor.key is None


def test_a_detached_connection_outlives_the_request(
    app: Flask, visitor: Visitor, emulator: Emulator
) -> None:
    seen: list[Any] = []
    done = threading.Event()

    @app.post("/later")
    @requires_openrouter_key
    def later() -> str:
        connection = current_openrouter.detach()

        def work() -> None:
            seen.append(fingerprint(connection.api_key))
            seen.append(connection.session.get("key").status_code)
            done.set()

        threading.Thread(target=work).start()
        return "started"

    visitor.connect(emulator)
    visitor.post("/later")
    assert done.wait(60)
    assert seen == [visitor.key, 200]


def test_a_detached_connection_with_a_dead_key_raises_and_forgets_it(
    make_app: Any, emulator: Emulator
) -> None:
    app: Flask = make_app(OPENROUTER_STORAGE_URI="memory://")
    detached: list[Any] = []

    @app.get("/keep")
    @requires_openrouter_key
    def keep() -> str:
        detached.append(current_openrouter.detach())
        return "kept"

    visitor = Visitor(app)
    visitor.connect(emulator)
    visitor.get("/keep")
    emulator.revoke(detached[0].api_key)
    with pytest.raises(KeyRejectedError):
        detached[0].key_info()
    assert not detached[0]
    assert visitor.key is None


def test_a_slow_request_does_not_forget_the_key_that_was_connected_meanwhile(
    make_app: Any, emulator: Emulator
) -> None:
    """The rejected key is the old one; the visitor has a new one by now."""
    app: Flask = make_app(OPENROUTER_STORAGE_URI="memory://")
    app.extensions["openrouter"].app_functions.owner_loader = lambda: "ada"
    visitor = Visitor(app)
    visitor.connect(emulator)
    with app.test_request_context():
        slow = current_openrouter.detach()
    visitor.connect(emulator)
    key = visitor.key
    emulator.revoke(slow.api_key)
    with pytest.raises(KeyRejectedError):
        slow.key_info()
    assert visitor.key == key is not None
