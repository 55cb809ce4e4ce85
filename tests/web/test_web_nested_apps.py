"""Requests within requests: each app has its own connection and its own cookies."""

from __future__ import annotations

from typing import Any

import pytest
from flask import Flask, Response, request
from visitor import NAVIGATE, Visitor
from werkzeug.wrappers import Response as AnyResponse

from flask_openrouter import current_openrouter, requires_openrouter_key
from flask_openrouter.emulator import Emulator
from flask_openrouter.storage.memory import MemoryStorage

pytest_plugins = "sites"


def test_an_app_that_calls_itself_passes_the_cookies_on(site: Any) -> None:
    @site.app.before_request
    def look() -> None:
        bool(current_openrouter)

    @site.app.post("/v1/leave")
    def leave() -> Response:
        environ = {**request.environ, "PATH_INFO": "/openrouter/disconnect"}
        inner = AnyResponse.from_app(site.app.wsgi_app, environ)
        return Response(inner.get_data(), inner.status, inner.headers)

    site.connect()
    site.visitor.post("/v1/leave")
    assert site.visitor.key is None


@pytest.fixture
def two_apps(make_app: Any) -> tuple[Flask, Flask]:
    """An inner and an outer app, which both call the same person 1."""
    apps = make_app({"storage": MemoryStorage()}), make_app({"storage": MemoryStorage()})
    for app in apps:
        app.extensions["openrouter"].app_functions.owner_loader = lambda: "1"
    return apps


def test_each_app_context_in_one_request_has_its_own_connection(
    two_apps: tuple[Flask, Flask], emulator: Emulator
) -> None:
    inner, outer = two_apps

    @outer.get("/both")
    def both() -> list[bool]:
        first = bool(current_openrouter)
        with inner.app_context():
            second = bool(current_openrouter)
        return [first, second, bool(current_openrouter)]

    visitor = Visitor(outer)
    visitor.connect(emulator)
    assert visitor.get("/both").json == [True, False, True]


def test_an_app_behind_an_app_has_its_own_connection_and_cookies(
    two_apps: tuple[Flask, Flask], emulator: Emulator
) -> None:
    """Both serve the same WSGI environment."""
    inner, outer = two_apps

    @outer.get("/through")
    @requires_openrouter_key
    def through() -> AnyResponse:
        environ = {**request.environ, "PATH_INFO": "/guarded"}
        response = AnyResponse.from_app(inner.wsgi_app, environ)
        assert current_openrouter
        return response

    visitor = Visitor(outer)
    visitor.connect(emulator)
    response = visitor.get("/through", **NAVIGATE)
    assert response.status_code == 303, "the visitor has not connected there"
    Visitor(inner).connect(emulator)
    assert visitor.get("/through", **NAVIGATE).text == Visitor(inner).get("/guarded").text
