"""``auth.explain()``: an error in the visitor's words, where no page can take its place."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from flask import Flask, stream_with_context
from visitor import Visitor

from flask_openrouter import OpenRouterAuth, current_openrouter, requires_openrouter_key
from flask_openrouter.client import read_stream
from flask_openrouter.emulator import Emulator
from flask_openrouter.errors import (
    ConfigurationError,
    ForbiddenError,
    OpenRouterError,
    OutOfCreditError,
)

CHAT = "/api/v1/chat/completions"
NO_CREDIT = "Kein Guthaben mehr"


def with_stream(app: Flask, auth: OpenRouterAuth) -> Flask:
    @app.post("/stream")
    @requires_openrouter_key(fallback=True)
    def stream() -> Any:
        body = {
            "model": "openai/gpt-4o-mini",
            "messages": [{"role": "user", "content": "hello"}],
            "stream": True,
        }
        reply = current_openrouter.session.post("chat/completions", json=body, stream=True)
        answer = read_stream(reply).start()

        def words() -> Iterator[str]:
            try:
                yield from answer.iter_text()
            except OpenRouterError as error:
                problem = auth.explain(error)
                yield f"|{problem.title}|{problem.message}"

        return app.response_class(stream_with_context(words()))

    return app


@pytest.fixture
def auth() -> OpenRouterAuth:
    return OpenRouterAuth()


def test_a_stream_that_breaks_off_says_why_in_the_visitors_language(
    auth: OpenRouterAuth, app: Flask, emulator: Emulator
) -> None:
    visitor = Visitor(with_stream(app, auth))
    visitor.connect(emulator)
    visitor.client.environ_base["HTTP_ACCEPT_LANGUAGE"] = "de"
    emulator.add_fault(path=CHAT, mid_stream=True, status=402)
    words, title, _ = visitor.post("/stream").text.split("|")
    assert words
    assert title == NO_CREDIT


def test_a_visitor_on_the_apps_own_key_is_not_told_of_an_account(
    auth: OpenRouterAuth, app: Flask, emulator: Emulator
) -> None:
    key = emulator.issue_key()
    app.extensions["openrouter"].app_functions.fallback_key = lambda: key
    emulator.add_fault(path=CHAT, mid_stream=True, status=502)
    message = Visitor(with_stream(app, auth)).post("/stream").text.split("|")[2]
    assert message.endswith("or connect your own OpenRouter account.")


def test_its_language_without_a_request(auth: OpenRouterAuth, make_app: Any) -> None:
    error = OutOfCreditError(402)
    problem = auth.explain(error)
    assert (problem.code, problem.status) == ("out_of_credit", 402)
    assert (problem.title, problem.message) == (
        "No credit left",
        "Your OpenRouter credit or the key's limit is used up. You are still connected.",
    )
    with make_app(OPENROUTER_LANGUAGE="de").app_context():
        assert auth.explain(error).title == NO_CREDIT


def test_it_says_nothing_of_what_openrouter_said(auth: OpenRouterAuth) -> None:
    error = ForbiddenError(403, upstream_message="<b>secret</b>", reason="moderation")
    assert "secret" not in repr(auth.explain(error))


def test_an_error_of_the_operator_is_raised(auth: OpenRouterAuth) -> None:
    error = ConfigurationError("wrong")
    with pytest.raises(ConfigurationError) as raised:
        auth.explain(error)
    assert raised.value is error
