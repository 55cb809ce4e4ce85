"""Apps that use what Flask allows: their own sessions, mounts, and several apps."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any
from urllib.parse import quote, unquote

import pytest
from flask import Flask, Response, request, session
from flask.sessions import SecureCookieSessionInterface, SessionInterface, SessionMixin
from visitor import NAVIGATE, Visitor
from werkzeug.middleware.dispatcher import DispatcherMiddleware
from werkzeug.test import Client

from flask_openrouter import OpenRouterAuth, current_openrouter, requires_openrouter_key
from flask_openrouter.emulator import Emulator
from flask_openrouter.storage.memory import MemoryStorage
from flask_openrouter.web import ExtensionCookie

MakeApp = Callable[..., Flask]


class Unprintable:
    def __repr__(self) -> str:
        raise RuntimeError("detached")


class ServerSideSessions(SessionInterface):
    """Stores the session of one visitor as an object."""

    class Session(dict[str, Any], SessionMixin):
        pass

    def __init__(self) -> None:
        self._session = self.Session()

    def open_session(self, app: Flask, request: Any) -> SessionMixin:
        return self._session

    def save_session(self, app: Flask, session: SessionMixin, response: Response) -> None:
        pass


def test_a_session_may_choose_its_path_by_the_request(make_app: MakeApp) -> None:
    class ByMount(SecureCookieSessionInterface):
        def get_cookie_path(self, app: Flask) -> str:
            return request.script_root or "/"

    class Interfaced(Flask):
        session_interface = ByMount()

    app = Interfaced("interfaced")
    app.config.update(TESTING=True, SECRET_KEY="s" * 16)
    OpenRouterAuth(app)
    assert app.test_client().get("/openrouter/login").status_code == 303


@pytest.mark.parametrize("in_cookie", [True, False])
def test_apps_on_one_host_with_separate_sessions_have_separate_cookies(
    in_cookie: bool, make_app: MakeApp, emulator: Emulator
) -> None:
    separations: list[tuple[dict[str, str], dict[str, str]]] = [
        ({}, {"SESSION_COOKIE_NAME": "other"}),
        ({"SESSION_COOKIE_NAME": "__Host-one"}, {"SESSION_COOKIE_NAME": "__Host-other"}),
        ({"APPLICATION_ROOT": "/one"}, {"SESSION_COOKIE_PATH": "/other"}),
    ]
    names = ("/one", "/other")
    for separation in separations:
        apps = [
            make_app({} if in_cookie else {"storage": MemoryStorage()}, **settings)
            for settings in separation
        ]
        client = Client(DispatcherMiddleware(Flask("root"), dict(zip(names, apps, strict=True))))
        for name in names:
            login = client.get(f"{name}/openrouter/login", headers=NAVIGATE)
            callback = emulator.approve(login.headers["Location"]).removeprefix("http://localhost")
            assert client.get(callback, headers=NAVIGATE).status_code == 303, separation
        statuses = [client.get(f"{name}/guarded").status_code for name in names]
        assert statuses == [200, 200], separation
        client.post("/other/openrouter/disconnect")
        statuses = [client.get(f"{name}/guarded").status_code for name in names]
        assert statuses == [200, 303], separation


def test_an_app_may_be_mounted_under_any_name(make_app: MakeApp, emulator: Emulator) -> None:
    for root in ("/s b", "/sü", "/sub"):
        client = make_app().test_client()
        base_url = f"http://localhost{quote(root)}"
        login = client.get("/openrouter/login", base_url=base_url, headers=NAVIGATE)
        callback = emulator.approve(login.location).removeprefix(base_url)
        landed = client.get(callback, base_url=base_url, headers=NAVIGATE)
        assert (landed.status_code, unquote(landed.location)) == (303, f"{root}/"), root
        assert client.get("/guarded", base_url=base_url).status_code == 200, root


def test_a_session_on_the_server_may_hold_anything(make_app: MakeApp, emulator: Emulator) -> None:
    app = make_app()
    app.session_interface = ServerSideSessions()

    @app.get("/fill")
    def fill() -> str:
        session["row"] = Unprintable()
        return "filled"

    visitor = Visitor(app)
    visitor.get("/fill")
    assert visitor.connect(emulator).status_code == 303


def test_an_app_may_override_ensure_sync(emulator: Emulator) -> None:
    """Flask documents it as a method to override."""

    class Asking:
        __name__ = "ask"

        async def __call__(self) -> str:
            return current_openrouter.masked_key

    class Awaiting(Flask):
        def ensure_sync(self, func: Callable[..., Any]) -> Callable[..., Any]:
            return self.async_to_sync(func.__call__) if isinstance(func, Asking) else func

    app = Awaiting("awaiting")
    app.config.update(TESTING=True, SECRET_KEY="0f1e2d3c4b5a6978" * 2)
    app.config["OPENROUTER_BASE_URL"] = emulator.url
    OpenRouterAuth(app)
    app.get("/ask")(requires_openrouter_key(Asking()))
    visitor = Visitor(app)
    visitor.connect(emulator)
    assert visitor.get("/ask").text.startswith("sk-or-v1-")


def test_one_app_may_replace_ensure_sync(make_app: MakeApp, emulator: Emulator) -> None:
    """Set on the app itself, not by a class."""
    app, asked = make_app(), list[object]()

    def ensure_sync(function: Any) -> Any:
        asked.append(function)
        return function

    def view() -> str:
        return "seen"

    app.ensure_sync = ensure_sync  # type: ignore[method-assign]
    app.get("/ask")(requires_openrouter_key(view))
    visitor = Visitor(app)
    visitor.connect(emulator)
    assert visitor.get("/ask").text == "seen"
    assert view in asked


def test_the_limit_of_cookies_may_be_switched_off(make_app: MakeApp, emulator: Emulator) -> None:
    """The warning of a big cookie, an error here, is switched off with it."""
    app = make_app(MAX_COOKIE_SIZE=0)
    cookie = ExtensionCookie(600, suffix="-done")

    @app.get("/fill")
    def fill() -> str:
        cookie.write("x" * 5_000)
        return "filled"

    assert app.test_client().get("/fill").status_code == 200


def test_two_apps_that_handle_one_request_both_forbid_caching(
    make_app: MakeApp, emulator: Emulator
) -> None:
    """As in middleware that tries one app after the other."""
    first, second = (make_app(SECRET_KEY="0f1e2d3c4b5a6978" * 2) for _ in range(2))

    @first.before_request
    def look() -> None:
        bool(current_openrouter)

    @second.get("/only-here")
    @requires_openrouter_key
    def only_here() -> str:
        return request.path

    visitor = Visitor(second)
    visitor.connect(emulator)
    ask_second = second.wsgi_app

    def cascade(environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        statuses: list[str] = []
        first.wsgi_app(environ, lambda status, *_: statuses.append(status) or print).close()
        assert statuses == ["404 NOT FOUND"]
        return ask_second(environ, start_response)

    second.wsgi_app = cascade  # type: ignore[method-assign]
    answer = visitor.get("/only-here")
    assert answer.text == "/only-here"
    assert answer.headers["Cache-Control"] == "no-store"
    assert "Cookie" in answer.headers["Vary"]
