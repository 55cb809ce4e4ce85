"""What a login asks of the key: decided by the app, never by the visitor."""

from __future__ import annotations

from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from flask import Flask, request
from visitor import Visitor

from flask_openrouter import OpenRouterAuth
from flask_openrouter.emulator import Emulator


def asked(authorization_url: str) -> dict[str, list[str]]:
    query = parse_qs(urlsplit(authorization_url).query)
    return {name: query[name] for name in ("limit", "key_label") if name in query}


def app_with(emulator: Emulator, options: Any, **config: Any) -> Flask:
    app = Flask("tested")
    app.config.update(TESTING=True, SECRET_KEY="k" * 32, OPENROUTER_BASE_URL=emulator.url, **config)
    auth = OpenRouterAuth(app)
    if options is not None:
        auth.key_options(options)
    return app


@pytest.mark.requirement("R110")
def test_the_settings_are_sent(emulator: Emulator) -> None:
    app = app_with(emulator, None, OPENROUTER_KEY_LIMIT=0, OPENROUTER_KEY_LABEL="My app & co")
    assert asked(Visitor(app).start()) == {"limit": ["0"], "key_label": ["My app & co"]}


def test_the_app_decides_for_each_login(emulator: Emulator) -> None:
    app = app_with(
        emulator,
        lambda: {"limit": 20 if request.args.get("next") == "/big" else None},
        OPENROUTER_KEY_LIMIT=5,
        OPENROUTER_KEY_LABEL="Label",
    )
    visitor = Visitor(app)
    assert asked(visitor.start("/big")) == {"limit": ["20"], "key_label": ["Label"]}
    assert asked(visitor.start("/")) == {"key_label": ["Label"]}


def test_options_may_be_left_out(emulator: Emulator) -> None:
    app = app_with(emulator, lambda: None, OPENROUTER_KEY_LIMIT=5)
    assert asked(Visitor(app).start()) == {"limit": ["5"]}


def test_the_visitor_decides_nothing(emulator: Emulator) -> None:
    app = app_with(emulator, None, OPENROUTER_KEY_LIMIT=5)
    login = Visitor(app).get("/openrouter/login?limit=1000&key_label=mine")
    assert asked(login.location) == {"limit": ["5"]}


@pytest.mark.parametrize("options", [{"limit": -1}, {"key_label": "x" * 101}, {"state": "x"}])
def test_wrong_options_are_an_error_of_the_app(emulator: Emulator, options: dict[str, Any]) -> None:
    app = app_with(emulator, lambda: options)
    with pytest.raises(ValueError, match=r"limit|label|key_options"):
        Visitor(app).start()
