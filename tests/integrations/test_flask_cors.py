"""flask-cors, as its documentation sets it up: an API for the pages of another origin."""

from __future__ import annotations

from typing import Any

import pytest
from flask import Flask
from flask_cors import CORS
from visitor import Visitor
from werkzeug.test import TestResponse

from flask_openrouter import current_openrouter, requires_openrouter_key
from flask_openrouter.emulator import Emulator

#: Another origin on the same site, like www.app.example and api.app.example.
SPA = "https://localhost:3000"


def add_api(app: Flask) -> Flask:
    @app.post("/api/ask")
    @requires_openrouter_key
    def ask() -> dict[str, bool]:
        return {"connected": bool(current_openrouter)}

    return app


@pytest.fixture
def app(make_app: Any) -> Flask:
    app: Flask = make_app()
    CORS(app, resources={r"/api/*": {"origins": SPA}}, supports_credentials=True)
    return add_api(app)


@pytest.fixture
def visitor(app: Flask) -> Visitor:
    return Visitor(app, "https://localhost")


def fetch(visitor: Visitor, path: str, method: str = "POST", **headers: str) -> TestResponse:
    """Ask as a script of the other origin, on the same site: the cookies go along."""
    from_there = {"Origin": SPA, "Sec-Fetch-Site": "same-site", "Sec-Fetch-Mode": "cors"}
    return visitor.client.open(
        path, method=method, base_url=visitor.base_url, headers={**from_there, **headers}
    )


def test_a_preflight_passes_the_guard(visitor: Visitor) -> None:
    answer = fetch(visitor, "/api/ask", "OPTIONS", **{"Access-Control-Request-Method": "POST"})
    assert answer.status_code == 200
    assert answer.headers["Access-Control-Allow-Origin"] == SPA


def test_the_other_origin_can_read_where_to_connect(visitor: Visitor) -> None:
    answer = fetch(visitor, "/api/ask")
    assert answer.status_code == 401
    assert answer.json is not None
    assert answer.json["login_url"].startswith("/openrouter/login")
    assert answer.headers["Access-Control-Allow-Origin"] == SPA
    assert "Cookie" in answer.vary


def test_the_other_origin_uses_the_key_without_seeing_it(
    visitor: Visitor, emulator: Emulator
) -> None:
    visitor.connect(emulator)
    answer = fetch(visitor, "/api/ask")
    assert answer.json == {"connected": True}
    assert answer.headers["Access-Control-Allow-Credentials"] == "true"
    assert "sk-or-" not in str(answer.headers)


def test_the_routes_of_the_extension_are_for_pages_of_the_app(
    visitor: Visitor, emulator: Emulator
) -> None:
    visitor.connect(emulator)
    assert "Access-Control-Allow-Origin" not in fetch(visitor, "/openrouter/status", "GET").headers
    assert fetch(visitor, "/openrouter/disconnect").status_code == 403
    assert visitor.key is not None


def test_an_app_open_to_every_origin_lets_none_disconnect(
    make_app: Any, emulator: Emulator
) -> None:
    """``CORS(app)`` alone: every origin may read responses to requests without cookies."""
    app: Flask = make_app()
    CORS(app)
    visitor = Visitor(add_api(app), "https://localhost")
    visitor.connect(emulator)
    status = fetch(visitor, "/openrouter/status", "GET")
    assert status.headers["Access-Control-Allow-Origin"] == SPA
    assert "Access-Control-Allow-Credentials" not in status.headers
    assert fetch(visitor, "/openrouter/disconnect").status_code == 403
    assert visitor.key is not None
