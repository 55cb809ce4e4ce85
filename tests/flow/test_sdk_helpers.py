"""The clients of ``current_openrouter.openai()`` and ``current_openrouter.sdk()``."""

from __future__ import annotations

import asyncio
import sys
from typing import Any

import httpx
import openai
import pytest
from flask import Flask, Response, stream_with_context
from openrouter.errors import ForbiddenResponseError
from visitor import Visitor

from flask_openrouter import current_openrouter, requires_openrouter_key
from flask_openrouter.emulator import Emulator
from flask_openrouter.errors import ConfigurationError, OutOfCreditError
from flask_openrouter.signals import key_disconnected

QUESTION: Any = [{"role": "user", "content": "Hello?"}]


@pytest.fixture
def app(make_app: Any, emulator: Emulator) -> Flask:
    app: Flask = make_app(
        OPENROUTER_APP_TITLE="Tested",
        OPENROUTER_APP_URL="https://app.example",
        OPENROUTER_APP_CATEGORIES=["game"],
    )
    model = "openai/gpt-4o-mini"

    @app.get("/openai")
    @requires_openrouter_key
    def use_openai() -> str:
        with current_openrouter.openai(max_retries=0) as client:
            reply = client.chat.completions.create(model=model, messages=QUESTION)
        return reply.choices[0].message.content or ""

    @app.get("/openai/stream")
    @requires_openrouter_key
    def stream_openai() -> Response:
        client = current_openrouter.detach().openai(max_retries=0)

        @stream_with_context
        def words() -> Any:
            with (
                client,
                client.chat.completions.create(
                    model=model, messages=QUESTION, stream=True
                ) as chunks,
            ):
                for chunk in chunks:
                    yield from (choice.delta.content or "" for choice in chunk.choices)

        return Response(words())

    @app.get("/sdk")
    @requires_openrouter_key
    def use_sdk() -> str:
        reply = current_openrouter.sdk().chat.send(model=model, messages=QUESTION)
        return str(reply.choices[0].message.content)

    @app.get("/sdk/stream")
    @requires_openrouter_key
    def stream_sdk() -> str:
        with current_openrouter.sdk().chat.send(
            model=model, messages=QUESTION, stream=True
        ) as chunks:
            return "".join(
                choice.delta.content or "" for chunk in chunks for choice in chunk.choices
            )

    @app.get("/info")
    @requires_openrouter_key
    def info() -> str:
        return str(current_openrouter.key_info().limit)

    return app


def test_every_helper_gets_an_answer_of_the_model(visitor: Visitor, emulator: Emulator) -> None:
    visitor.connect(emulator)
    for number, path in enumerate(("/openai", "/openai/stream", "/sdk", "/sdk/stream"), 1):
        answer = visitor.get(path)
        assert answer.status_code == 200, path
        assert len(answer.text) > 20, path
        assert emulator.requests[-1].path == "/api/v1/chat/completions", path
        assert emulator.count("POST", "/api/v1/chat/completions") == number, path
        headers = emulator.requests[-1].headers
        names = ("http-referer", "x-openrouter-title", "x-openrouter-categories")
        app_of_request = [headers.get(name) for name in names]
        assert app_of_request == ["https://app.example", "Tested", "game"], path


def test_a_dead_key_is_forgotten_and_the_visitor_comes_back_to_the_page(
    app: Flask, emulator: Emulator
) -> None:
    for path in ("/openai", "/sdk", "/sdk/stream", "/info"):
        visitor = Visitor(app)
        heard: list[str] = []
        with key_disconnected.connected_to(
            lambda sender, heard=heard, **news: heard.append(news["reason"]), app
        ):
            visitor.connect(emulator)
            with emulator.faults(status=401, times=None):
                answer = visitor.get(path)
        assert (answer.status_code, answer.location) == (303, f"/openrouter/login?next={path}")
        assert heard == ["rejected"], path
        assert visitor.key is None, path


def test_spent_credit_keeps_the_key_and_the_page_links_to_the_credits(
    visitor: Visitor, emulator: Emulator
) -> None:
    visitor.connect(emulator)
    key = visitor.key
    for path in ("/openai", "/sdk", "/sdk/stream"):
        for status in (402, 403):
            body = {"error": {"code": status, "message": "Insufficient credits"}}
            with emulator.faults(status=status, body=body, times=None):
                answer = visitor.get(path)
            assert answer.status_code == 402, (path, status)
            assert "/settings/credits" in answer.text, (path, status)
            assert "/settings/keys" in answer.text, (path, status)
            assert visitor.key == key is not None, (path, status)


def test_spent_credit_of_the_sdk_links_to_the_base_url_in_use(
    app: Flask, visitor: Visitor, emulator: Emulator
) -> None:
    @app.get("/spent")
    @requires_openrouter_key
    def spent() -> str:
        with pytest.raises(OutOfCreditError) as caught:
            current_openrouter.sdk().chat.send(model="openai/gpt-4o-mini", messages=QUESTION)
        return caught.value.settings_url

    visitor.connect(emulator)
    with emulator.faults(status=402):
        assert visitor.get("/spent").text == f"{emulator.url}/settings/credits"


def test_a_package_that_is_missing_is_named(
    make_app: Any, emulator: Emulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    app: Flask = make_app(OPENROUTER_STORAGE_URI="memory://")
    app.extensions["openrouter"].app_functions.owner_loader = lambda: "ada"
    Visitor(app).connect(emulator)
    with app.test_request_context():
        connection = current_openrouter.detach()
    for helper, package in (("openai", "openai"), ("sdk", "openrouter")):
        # As Python itself does for a package that is missing.
        monkeypatch.setitem(sys.modules, package, None)
        with pytest.raises(ConfigurationError, match=f"pip install {package}"):
            getattr(connection, helper)()


def test_a_refusal_that_is_not_about_the_key_keeps_the_type_of_its_package(
    app: Flask, visitor: Visitor, emulator: Emulator
) -> None:
    @app.errorhandler(ForbiddenResponseError)
    def refused(error: ForbiddenResponseError) -> str:
        return f"caught: {error.data.error.message}"

    visitor.connect(emulator)
    body = {"error": {"code": 403, "message": "Moderation"}}
    with emulator.faults(status=403, body=body, times=None):
        assert visitor.get("/sdk").text == "caught: Moderation"
    assert visitor.key is not None


def test_a_handler_of_the_app_for_a_packages_error_comes_first(
    app: Flask, visitor: Visitor, emulator: Emulator
) -> None:
    @app.errorhandler(openai.RateLimitError)
    async def of_openai(error: openai.RateLimitError) -> tuple[str, int]:
        return f"caught: {error.status_code}", 418

    @app.errorhandler(OSError)
    @app.errorhandler(Exception)
    def anything(error: Exception) -> str:
        return "anything"

    visitor.connect(emulator)
    chat = "/api/v1/chat/completions"
    with emulator.faults(status=429, path=chat, times=None):
        reply = visitor.get("/openai")
        assert (reply.status_code, reply.text) == (418, "caught: 429")
    with emulator.faults(status=400, path=chat):
        assert visitor.get("/openai").status_code == 502


def test_with_closes_only_the_http_clients_that_the_app_did_not_supply(
    app: Flask, visitor: Visitor, emulator: Emulator
) -> None:
    closed = []

    @app.get("/closed")
    @requires_openrouter_key
    def closed_here() -> str:
        with current_openrouter.openai() as client:
            pass
        closed.append(client.is_closed())
        with current_openrouter.sdk() as sdk:
            http_client = sdk.sdk_configuration.client
        closed.append(http_client.is_closed)

        async def close() -> None:
            async with current_openrouter.sdk() as sdk:
                http_client = sdk.sdk_configuration.async_client
            closed.append(http_client.is_closed)

        asyncio.run(close())
        with httpx.Client() as of_the_app:
            with current_openrouter.sdk(client=of_the_app):
                pass
            closed.append(of_the_app.is_closed)
        return "ok"

    visitor.connect(emulator)
    assert visitor.get("/closed").text == "ok"
    assert closed == [True, True, True, False]
