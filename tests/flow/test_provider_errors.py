"""Refusals that are not about the visitor's key: of a model provider, or of another key."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from flask import Flask, render_template_string, request
from visitor import Visitor

from flask_openrouter import OpenRouterAuth, current_openrouter, requires_openrouter_key
from flask_openrouter.emulator import Emulator
from flask_openrouter.errors import ProviderError
from flask_openrouter.signals import key_disconnected

CHAT = "/api/v1/chat/completions"
KEY_INFO = "/api/v1/key"
EXCHANGE = "/api/v1/auth/keys"
ASKED: Any = {"model": "openai/gpt-4o-mini", "messages": [{"role": "user", "content": "Hello?"}]}


def relayed(status: int) -> dict[str, Any]:
    metadata = {"raw": '{"type":"authentication_error"}', "provider_name": "Anthropic"}
    message = "Provider returned error"
    return {
        "status": status,
        "body": {"error": {"message": message, "code": status, "metadata": metadata}},
    }


@pytest.fixture(params=["cookie", "sqlite"])
def app(request: pytest.FixtureRequest, make_app: Callable[..., Flask], tmp_path: Path) -> Flask:
    uri = f"sqlite:///{tmp_path}/keys.db" if request.param == "sqlite" else None
    app = make_app(OPENROUTER_STORAGE_URI=uri)

    @app.get("/chat")
    @requires_openrouter_key
    def chat() -> tuple[Any, int]:
        reply = current_openrouter.session.post("chat/completions", json=ASKED)
        return reply.json(), reply.status_code

    @app.get("/openai")
    @requires_openrouter_key
    def use_openai() -> str:
        with current_openrouter.openai(max_retries=0) as client:
            return str(client.chat.completions.create(**ASKED))

    @app.get("/sdk")
    @requires_openrouter_key
    def use_sdk() -> str:
        return str(current_openrouter.sdk().chat.send(**ASKED))

    @app.get("/info")
    @requires_openrouter_key
    def info() -> str:
        return str(current_openrouter.key_info())

    @app.get("/usage")
    def usage() -> str:
        return render_template_string("{{ openrouter_usage() }}")

    # A view that raises would end the test, not the response.
    app.config["PROPAGATE_EXCEPTIONS"] = False
    return app


@pytest.fixture
def forgotten(app: Flask) -> Iterator[list[Any]]:
    """The signals ``key_disconnected`` of the app."""
    heard: list[Any] = []
    with key_disconnected.connected_to(lambda sender, **news: heard.append(news), app):
        yield heard


def test_a_guarded_page_keeps_the_key_and_shows_the_refusal(
    app: Flask, visitor: Visitor, emulator: Emulator, forgotten: list[Any]
) -> None:
    visitor.connect(emulator)
    key = visitor.key
    assert key is not None
    for status in (401, 402):
        with emulator.faults(path=CHAT, times=None, **relayed(status)):
            # A browser that followed a redirect to the login would come back with a new key.
            for _ in range(3):
                page = visitor.get("/chat")
                assert (page.status_code, page.location) == (status, None)
                assert page.json == relayed(status)["body"]
        assert visitor.key == key, status
    assert emulator.count("POST", EXCHANGE) == 1
    assert forgotten == []


def test_a_guarded_page_that_does_not_catch_the_error_keeps_the_key(
    app: Flask, visitor: Visitor, emulator: Emulator, forgotten: list[Any]
) -> None:
    visitor.connect(emulator)
    key = visitor.key
    for path, upstream in (("/openai", CHAT), ("/sdk", CHAT), ("/info", KEY_INFO)):
        for status in (401, 402):
            with emulator.faults(path=upstream, times=None, **relayed(status)):
                page = visitor.get(path)
            assert (page.status_code, page.location) == (502, None), (path, status)
            assert visitor.key == key is not None, (path, status)
    assert emulator.count("POST", EXCHANGE) == 1
    assert forgotten == []


def test_a_page_that_shows_the_usage_keeps_the_key(
    app: Flask, visitor: Visitor, emulator: Emulator, forgotten: list[Any]
) -> None:
    visitor.connect(emulator)
    key = visitor.key
    with emulator.faults(path=KEY_INFO, times=None, **relayed(401)):
        page = visitor.get("/usage")
    assert page.status_code == 200
    assert visitor.key == key is not None
    assert forgotten == []


def test_a_task_keeps_the_key_of_its_owner(
    make_app: Callable[..., Flask], emulator: Emulator, tmp_path: Path
) -> None:
    app = make_app(OPENROUTER_STORAGE_URI=f"sqlite:///{tmp_path}/keys.db")
    app.extensions["openrouter"].app_functions.owner_loader = lambda: request.headers.get("X-User")
    auth, visitor = OpenRouterAuth(), Visitor(app)
    visitor.client.environ_base["HTTP_X_USER"] = "ada"
    visitor.connect(emulator)
    key = visitor.key
    seen: list[Any] = []

    def work() -> None:
        with app.app_context():
            connection = auth.for_owner("ada")
            seen.append(connection.session.post("chat/completions", json=ASKED).status_code)
            try:
                connection.key_info()
            except ProviderError as error:
                seen.append(error.status)
            seen.append(bool(auth.for_owner("ada")))

    with emulator.faults(times=None, **relayed(401)):
        thread = threading.Thread(target=work)
        thread.start()
        thread.join(60)
    assert seen == [401, 401, True]
    assert visitor.key == key is not None


def test_a_rejection_of_another_key_keeps_the_visitors_key(
    make_app: Callable[..., Flask], emulator: Emulator
) -> None:
    """Such as a key of the app itself."""
    app = make_app()
    dead = emulator.issue_key()
    emulator.revoke(dead)

    @app.get("/balance")
    def balance() -> str:
        client = app.extensions["openrouter"].client
        return str(client.get_key_info(dead).usage)

    visitor = Visitor(app)
    visitor.connect(emulator)
    key = visitor.key
    assert visitor.get("/balance").status_code == 502
    assert visitor.key == key is not None
