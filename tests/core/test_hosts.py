"""Apps that do with Flask what Flask allows: the extension goes along."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any
from urllib.parse import quote, unquote

import pytest
from flask import Flask, Response, g, request, session
from flask.sessions import SecureCookieSessionInterface, SessionInterface, SessionMixin
from visitor import NAVIGATE, Visitor
from werkzeug.middleware.dispatcher import DispatcherMiddleware
from werkzeug.test import Client, EnvironBuilder, run_wsgi_app

from flask_openrouter import OpenRouterAuth, current_openrouter, requires_openrouter_key
from flask_openrouter.emulator import Emulator
from flask_openrouter.storage.memory import MemoryStorage
from flask_openrouter.web import ExtensionCookie

MakeApp = Callable[..., Flask]


def test_parameters_that_the_app_adds_to_every_address_leave_next_alone(make_app: MakeApp) -> None:
    app = make_app()

    @app.url_defaults
    def add_language(endpoint: str, values: dict[str, Any]) -> None:
        values.setdefault("lang", "en")

    answer = app.test_client().get("/guarded?q=1", headers=NAVIGATE)
    assert answer.location == "/openrouter/login?lang=en&next=/guarded?q%3D1"


def test_a_language_in_the_prefix_belongs_to_our_own_addresses(
    make_app: MakeApp, emulator: Emulator
) -> None:
    """A login must not end on a login."""
    app = make_app({"url_prefix": "/<lang>/openrouter"})

    @app.url_value_preprocessor
    def take_language(endpoint: str | None, values: dict[str, Any] | None) -> None:
        g.lang = (values or {}).pop("lang", "en")

    @app.url_defaults
    def add_language(endpoint: str, values: dict[str, Any]) -> None:
        if app.url_map.is_endpoint_expecting(endpoint, "lang"):
            values.setdefault("lang", g.lang)

    visitor = Visitor(app)
    started = visitor.get("/de/openrouter/login?next=/de/openrouter/login")
    assert visitor.get(emulator.approve(started.location)).location == "/"
    started = visitor.get("/de/openrouter/login?next=/de/chat")
    assert visitor.get(emulator.approve(started.location)).location == "/de/chat"


class Unprintable:
    def __repr__(self) -> str:
        raise RuntimeError("detached")


class ServerSideSessions(SessionInterface):
    """Keeps sessions as objects, for one visitor."""

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
@pytest.mark.parametrize(
    "apart",
    [
        ({}, {"SESSION_COOKIE_NAME": "other"}),
        ({"SESSION_COOKIE_NAME": "__Host-one"}, {"SESSION_COOKIE_NAME": "__Host-other"}),
        ({"APPLICATION_ROOT": "/one"}, {"SESSION_COOKIE_PATH": "/other"}),
    ],
    ids=str,
)
def test_apps_on_one_host_whose_sessions_are_apart_have_cookies_of_their_own(
    apart: tuple[dict[str, str], ...], in_cookie: bool, make_app: MakeApp, emulator: Emulator
) -> None:
    names, apps = ("/one", "/other"), []
    for settings in apart:
        apps.append(make_app({} if in_cookie else {"storage": MemoryStorage()}, **settings))
    client = Client(DispatcherMiddleware(Flask("root"), dict(zip(names, apps, strict=True))))

    def is_connected(name: str) -> bool:
        return client.get(f"{name}/guarded").status_code == 200

    for name in names:
        login = client.get(f"{name}/openrouter/login", headers=NAVIGATE)
        callback = emulator.approve(login.headers["Location"]).removeprefix("http://localhost")
        assert client.get(callback, headers=NAVIGATE).status_code == 303
    assert [is_connected(name) for name in names] == [True, True]
    client.post("/other/openrouter/disconnect")
    assert [is_connected(name) for name in names] == [True, False]


@pytest.mark.parametrize("root", ["/s b", "/sü", "/sub"])
def test_an_app_may_be_mounted_under_any_name(
    root: str, make_app: MakeApp, emulator: Emulator
) -> None:
    client = make_app().test_client()
    base_url = f"http://localhost{quote(root)}"
    login = client.get("/openrouter/login", base_url=base_url, headers=NAVIGATE)
    callback = emulator.approve(login.location).removeprefix(base_url)
    landed = client.get(callback, base_url=base_url, headers=NAVIGATE)
    assert (landed.status_code, unquote(landed.location)) == (303, f"{root}/")
    assert client.get("/guarded", base_url=base_url).status_code == 200


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


@pytest.mark.parametrize("path", ["/guarded", "/openrouter/login", "/openrouter/status"])
def test_the_headers_of_our_pages_win_over_those_that_every_answer_of_the_app_has(
    make_app: MakeApp, path: str
) -> None:
    class Framed(Response):
        def __init__(self, *args: Any, **kwargs: Any) -> None:
            super().__init__(*args, **kwargs)
            self.headers["X-Frame-Options"] = "SAMEORIGIN"
            self.headers["Cache-Control"] = "public, max-age=60"

    app = make_app()
    app.response_class = Framed
    # Not a test client, whose answers are of this class as well.
    environ = EnvironBuilder(path, headers=NAVIGATE).get_environ()
    _, _, headers = run_wsgi_app(app, environ)
    assert headers.getlist("X-Frame-Options") == ["DENY"]
    assert headers.getlist("Cache-Control") == ["no-store"]


def test_an_app_that_awaits_in_its_own_way_is_asked_to(emulator: Emulator) -> None:
    """Flask documents ensure_sync as a method to override."""

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


def test_the_limit_of_cookies_may_be_switched_off(make_app: MakeApp, emulator: Emulator) -> None:
    """And so may the warning, which is an error here."""
    app = make_app(MAX_COOKIE_SIZE=0)
    cookie = ExtensionCookie(600, suffix="-done")

    @app.get("/fill")
    def fill() -> str:
        cookie.write("x" * 5_000)
        return "filled"

    assert app.test_client().get("/fill").status_code == 200


def test_two_apps_that_see_the_same_request_both_forbid_caches_to_keep_it(
    make_app: MakeApp, emulator: Emulator
) -> None:
    """As in middleware that asks one app after the other."""
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
