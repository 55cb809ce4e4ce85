"""OpenRouter answers 401 to valid keys: no key is lost, and nobody is sent round in circles."""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import pytest
from flask import Flask, Response, render_template_string, stream_with_context
from stored_apps import StoredApps
from visitor import Visitor

from flask_openrouter import current_openrouter, requires_openrouter_key
from flask_openrouter.emulator import Emulator
from flask_openrouter.errors import KeyRejectedError
from flask_openrouter.signals import key_connected, key_disconnected

CHAT = "/api/v1/chat/completions"
KEY_INFO = "/api/v1/key"
EXCHANGE = "/api/v1/auth/keys"
ASKED: Any = {"model": "openai/gpt-4o-mini", "messages": [{"role": "user", "content": "Hello?"}]}
VISITORS = 6


@contextmanager
def rejecting(emulator: Emulator, *paths: str, times: int | None = None) -> Iterator[None]:
    """Let OpenRouter answer 401 to these paths, whatever the key."""
    with ExitStack() as stack:
        for path in paths or (CHAT, KEY_INFO):
            stack.enter_context(emulator.faults(status=401, path=path, times=times))
        yield


def add_views(app: Flask) -> Flask:
    @app.get("/chat")
    @requires_openrouter_key
    def chat() -> str:
        reply = current_openrouter.session.post("chat/completions", json=ASKED)
        reply.raise_for_status()
        return str(reply.json()["choices"][0]["message"]["content"])

    @app.get("/usage")
    @requires_openrouter_key
    def usage() -> str:
        return render_template_string("{{ openrouter_usage() }}")

    @app.get("/raised")
    @requires_openrouter_key
    def raised() -> str:
        raise KeyRejectedError()

    @app.get("/stream")
    @requires_openrouter_key
    def stream() -> Response:
        def pieces() -> Iterator[str]:
            yield "begun "
            current_openrouter.session.post("chat/completions", json=ASKED)
            yield "ended"

        return Response(stream_with_context(pieces()))

    # A view that raises would end the test, not the response.
    app.config["PROPAGATE_EXCEPTIONS"] = False
    return app


@pytest.fixture
def app(stored_apps: StoredApps) -> Flask:
    return add_views(stored_apps())


@contextmanager
def heard(app: Flask) -> Iterator[list[str]]:
    """Collect what the signals of a connection say."""
    news: list[str] = []

    def connected(sender: Flask, **_: object) -> None:
        news.append("connected")

    def disconnected(sender: Flask, *, reason: str, **_: object) -> None:
        news.append(reason)

    with (
        key_connected.connected_to(connected, app),
        key_disconnected.connected_to(disconnected, app),
    ):
        yield news


@pytest.mark.requirement("A1", "O3")
def test_the_signals_of_an_incident(app: Flask, emulator: Emulator) -> None:
    visitors = [Visitor(app) for _ in range(VISITORS)]
    for visitor in visitors:
        visitor.connect(emulator)
    keys = [visitor.key for visitor in visitors]
    paths = ("/chat", "/usage", "/raised")
    with rejecting(emulator), heard(app) as news:
        for turn in range(2):
            for number, visitor in enumerate(visitors):
                path = paths[number % len(paths)]
                response = visitor.get(path)
                assert response.status_code == (200 if (path, turn) == ("/usage", 0) else 303)
                assert "/openrouter/login?next=" in (response.location or response.text)
                assert not visitor.get("/openrouter/status").get_json()["connected"]
        assert news == ["rejected"] * VISITORS
    assert emulator.count("POST", EXCHANGE) == VISITORS
    with heard(app) as news:
        for visitor in visitors:
            response = visitor.get("/openrouter/login?next=/chat")
            assert (response.status_code, response.location) == (303, "/chat")
        assert news == ["connected"] * VISITORS
    assert [visitor.key for visitor in visitors] == keys
    assert visitors[0].get("/chat").status_code == 200
    assert emulator.count("POST", EXCHANGE) == VISITORS


@pytest.mark.requirement("A1", "O1")
def test_a_visitor_who_reconnects_meanwhile_gets_one_new_key(
    app: Flask, emulator: Emulator, visitor: Visitor, clock: Any
) -> None:
    visitor.connect(emulator)
    with rejecting(emulator):
        login = visitor.get("/chat").location
        assert visitor.get(emulator.approve(visitor.get(login).location)).location == "/chat"
        for _ in range(3):
            assert visitor.get("/chat").status_code == 502
            assert visitor.get("/openrouter/login?next=/chat").status_code == 502
            clock.now += 60
    assert emulator.count("POST", EXCHANGE) == 2
    assert visitor.get("/openrouter/login?next=/chat").location == "/chat"
    assert visitor.get("/chat").status_code == 200


def test_ten_minutes_later_a_replacement_may_be_replaced(
    app: Flask, emulator: Emulator, visitor: Visitor, clock: Any
) -> None:
    visitor.connect(emulator)
    with rejecting(emulator):
        login = visitor.get("/chat").location
        visitor.get(emulator.approve(visitor.get(login).location))
        assert visitor.get("/chat").status_code == 502
        clock.now += 601
        assert visitor.get("/chat").status_code == 303
        assert "/auth?" in visitor.get("/openrouter/login").location


def test_a_disconnect_ends_the_wait(app: Flask, emulator: Emulator, visitor: Visitor) -> None:
    visitor.connect(emulator)
    with rejecting(emulator):
        login = visitor.get("/chat").location
        visitor.get(emulator.approve(visitor.get(login).location))
        assert visitor.get("/chat").status_code == 502
    assert visitor.post("/openrouter/disconnect").status_code == 303
    assert "/auth?" in visitor.get("/openrouter/login").location
    assert visitor.key is None


@pytest.mark.requirement("O3")
def test_one_401_that_openrouter_does_not_confirm_costs_nothing(
    app: Flask, emulator: Emulator, visitor: Visitor, clock: Any
) -> None:
    visitor.connect(emulator)
    key = visitor.key
    with heard(app) as news:
        for asked in (1, 1, 2):
            with rejecting(emulator, CHAT):
                response = visitor.get("/chat")
            assert response.status_code == 502
            assert "Error unconfirmed" in response.text
            # At most once a minute.
            assert emulator.count("GET", KEY_INFO) == asked
            clock.now += 30
        assert visitor.get("/raised").status_code == 502
        assert news == []
    assert visitor.key == key


@pytest.mark.requirement("O3")
@pytest.mark.parametrize("status", [402, 403, 404, 429, 500, 502, 503])
def test_any_other_answer_about_the_key_keeps_it(
    status: int, app: Flask, emulator: Emulator, visitor: Visitor
) -> None:
    visitor.connect(emulator)
    with (
        rejecting(emulator, CHAT),
        emulator.faults(status=status, path=KEY_INFO, times=None),
    ):
        assert visitor.get("/chat").status_code == 502
    assert visitor.key is not None


@pytest.mark.requirement("W15")
def test_a_key_that_is_rejected_in_a_stream_is_set_aside_at_the_next_request(
    app: Flask, emulator: Emulator, visitor: Visitor
) -> None:
    visitor.connect(emulator)
    with rejecting(emulator), heard(app) as news:
        with pytest.raises(KeyRejectedError):
            visitor.get("/stream").get_data()
        assert news == ["rejected"]
        assert not visitor.get("/openrouter/status").get_json()["connected"]
        assert visitor.get("/stream").location.startswith("/openrouter/login")
        assert news == ["rejected"]
    assert visitor.get("/openrouter/login?next=/stream").location == "/stream"
    assert visitor.get("/stream").text == "begun ended"


@pytest.mark.requirement("W15")
def test_a_key_that_another_worker_gave_back_is_not_set_aside_again(
    make_app: Any, emulator: Emulator
) -> None:
    secret_key = secrets.token_hex()
    workers = [add_views(make_app(SECRET_KEY=secret_key)) for _ in range(2)]
    visitor = Visitor(workers[0])
    visitor.connect(emulator)
    with rejecting(emulator), pytest.raises(KeyRejectedError):
        visitor.get("/stream").get_data()
    assert visitor.key is None
    visitor.client.application = workers[1]
    assert visitor.get("/openrouter/login?next=/chat").location == "/chat"
    visitor.client.application = workers[0]
    assert visitor.key is not None


def test_a_day_later_a_key_that_was_set_aside_is_deleted(
    app: Flask, emulator: Emulator, visitor: Visitor, clock: Any
) -> None:
    visitor.connect(emulator)
    with rejecting(emulator):
        visitor.get("/chat")
    clock.now += 24 * 3600 + 1
    assert "/auth?" in visitor.get("/openrouter/login").location
    clock.now -= 3600
    assert "/auth?" in visitor.get("/openrouter/login").location


def test_no_other_request_asks_about_a_key_that_was_set_aside(
    app: Flask, emulator: Emulator, visitor: Visitor
) -> None:
    visitor.connect(emulator)
    with rejecting(emulator):
        visitor.get("/chat")
    asked = emulator.count("GET", KEY_INFO)
    for path in ("/openrouter/status", "/chat", "/guarded", "/"):
        visitor.get(path)
    assert emulator.count("GET", KEY_INFO) == asked


def test_a_code_that_is_pasted_needs_no_consent_either(
    app: Flask, emulator: Emulator, visitor: Visitor
) -> None:
    visitor.connect(emulator)
    with rejecting(emulator):
        visitor.get("/chat")
    assert visitor.get("/openrouter/code?next=/chat").location == "/chat"
    assert visitor.get("/chat").status_code == 200


@pytest.mark.requirement("O3")
def test_a_401_of_the_question_about_the_key_needs_no_confirmation(
    app: Flask, emulator: Emulator, visitor: Visitor
) -> None:
    app.add_url_rule("/info", "info", lambda: str(current_openrouter.key_info()))
    app.add_url_rule("/key", "key", lambda: current_openrouter.session.get("key").text)
    visitor.connect(emulator)
    for path in ("/info", "/key"):
        asked = emulator.count("GET", KEY_INFO)
        with rejecting(emulator, KEY_INFO, times=1):
            assert visitor.get(path).status_code == 303
        assert emulator.count("GET", KEY_INFO) == asked + 1
        assert visitor.get("/openrouter/login").location == "/"
