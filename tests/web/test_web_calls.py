"""Servers, middleware and views that call the app in unusual ways: no cookie of ours is lost."""

from __future__ import annotations

import gc
import secrets
import time
from collections.abc import Callable
from typing import Any

import pytest
from flask import Flask, Response, request, request_started, stream_with_context
from visitor import Visitor
from werkzeug.test import Client, run_wsgi_app

from flask_openrouter import OpenRouterAuth, current_openrouter, requires_openrouter_key
from flask_openrouter.emulator import Emulator
from flask_openrouter.errors import KeyStorageError

Hook = Callable[[Response], Response]


def make_site(emulator: Emulator, hook: Hook | None = None, **extension: Any) -> Flask:
    app = Flask("site")
    app.config.update(SECRET_KEY=secrets.token_hex(), OPENROUTER_BASE_URL=emulator.url, DEBUG=True)
    OpenRouterAuth(app, **extension)
    if hook is not None:
        app.after_request(hook)
    app.add_url_rule("/guarded", "guarded", requires_openrouter_key(lambda: "guarded"))
    return app


class KeptVisitor(Visitor):
    """A visitor of a server that calls the app as it was before ``init_app``, as Connexion does."""

    def __init__(self, app: Flask) -> None:
        super().__init__(app)
        kept: Any = Flask.wsgi_app.__get__(app)
        self.client = Client(kept)  # type: ignore[assignment]


def replace_response(response: Response) -> Response:
    return Response(response.get_data(), response.status, {"Location": response.location or ""})


def leave_late(response: Response) -> Response:
    if request.path == "/late":
        current_openrouter.disconnect()
    return response


def leave_in_stream(app: Flask, caught: list[Exception], before: Callable[[], object]) -> None:
    """Add a view that disconnects when its response has begun."""

    def words() -> Any:
        yield "a"
        try:
            current_openrouter.disconnect()
        except KeyStorageError as error:
            caught.append(error)
            yield "b"

    def view() -> Any:
        before()
        return stream_with_context(words())

    app.add_url_rule("/stream", "stream", view)


class TestAServerThatKeptTheAppFromBefore:
    def test_a_hook_that_replaces_the_response_loses_no_cookie(self, emulator: Emulator) -> None:
        visitor = KeptVisitor(make_site(emulator, replace_response))
        visitor.get(emulator.approve(visitor.start()))
        response = visitor.get("/guarded")
        assert (response.text, response.headers["Cache-Control"]) == ("guarded", "no-store")
        assert "Cookie" in response.vary
        visitor.post("/openrouter/disconnect")
        assert visitor.get("/guarded").status_code == 303

    def test_a_hook_may_be_the_first_to_disconnect(self, emulator: Emulator) -> None:
        visitor = KeptVisitor(make_site(emulator, leave_late))
        visitor.connect(emulator)
        assert visitor.get("/late").headers["Cache-Control"] == "private"
        assert visitor.key is None

    def test_what_is_too_late_is_an_error(self, emulator: Emulator) -> None:
        caught: list[Exception] = []
        app = make_site(emulator)
        leave_in_stream(app, caught, lambda: None)
        visitor = KeptVisitor(app)
        visitor.connect(emulator)
        assert visitor.get("/stream").text == "ab"
        assert len(caught) == 1
        assert visitor.key is not None


def look_in_another_context(app: Flask) -> None:
    """A common recipe for threads: a new request context over the environment of this one."""
    with app.request_context(request.environ):
        assert current_openrouter


def test_another_context_does_not_hide_that_the_response_has_begun(emulator: Emulator) -> None:
    caught: list[Exception] = []
    app = make_site(emulator)
    leave_in_stream(app, caught, lambda: look_in_another_context(app))
    visitor = Visitor(app)
    visitor.connect(emulator)
    assert visitor.get("/stream").text == "ab"
    assert len(caught) == 1
    assert visitor.key is not None


def test_another_context_takes_no_cookie_away(emulator: Emulator) -> None:
    app = make_site(emulator, replace_response)

    @app.get("/leave")
    def leave() -> str:
        look_in_another_context(app)
        current_openrouter.disconnect()
        return "left"

    visitor = Visitor(app)
    visitor.get(emulator.approve(visitor.start()))
    assert visitor.get("/leave").text == "left"
    assert visitor.key is None


def test_a_view_that_calls_its_own_app_may_disconnect_afterwards(emulator: Emulator) -> None:
    app = make_site(emulator)

    @app.get("/leave")
    def leave() -> str:
        environ = request.environ
        environ["PATH_INFO"] = "/guarded"
        b"".join(app.wsgi_app(environ, lambda *_: lambda data: None))
        current_openrouter.disconnect()
        return "left"

    visitor = Visitor(app)
    visitor.connect(emulator)
    assert visitor.get("/leave").text == "left"
    assert visitor.key is None


def test_a_middleware_that_calls_the_app_twice_sends_one_response(emulator: Emulator) -> None:
    app = Flask("site")
    app.config.update(SECRET_KEY=secrets.token_hex(), OPENROUTER_BASE_URL=emulator.url, DEBUG=True)
    inner = app.wsgi_app

    def twice(environ: Any, start_response: Any) -> Any:
        body, status, headers = run_wsgi_app(inner, environ)
        if environ["PATH_INFO"] == "/again":
            body, status, headers = run_wsgi_app(inner, environ)
        start_response(status, headers.to_wsgi_list(), exc_info=None)
        return body

    app.wsgi_app = twice  # type: ignore[method-assign]
    OpenRouterAuth(app)
    app.add_url_rule("/again", "again", requires_openrouter_key(lambda: "again"))
    app.add_url_rule("/guarded", "guarded", requires_openrouter_key(lambda: "guarded"))
    visitor = Visitor(app)
    visitor.connect(emulator)
    response = visitor.get("/again")
    assert (response.text, response.headers.getlist("Cache-Control")) == ("again", ["no-store"])
    visitor.post("/openrouter/disconnect")
    assert visitor.key is None


def test_a_server_that_begins_again_with_an_error_gets_it(app: Flask) -> None:
    """PEP 3333: ``exc_info`` may be given by position or by name."""
    seen: list[object] = []

    def inner(environ: Any, start_response: Any) -> list[bytes]:
        start_response("500 ERROR", [], ("kind", "error", "trace"))
        start_response("500 ERROR", [], exc_info=("kind", "error", "trace"))
        return []

    finisher: Any = app.wsgi_app.__self__  # type: ignore[attr-defined]
    finisher._wsgi_app = inner
    app.wsgi_app({}, lambda status, headers, *rest: seen.append(rest))
    assert seen == [(("kind", "error", "trace"),)] * 2


def test_an_app_that_replaces_the_wsgi_app_with_an_earlier_one_stays_guarded(
    emulator: Emulator,
) -> None:
    app = Flask("replaced")
    app.config.update(SECRET_KEY=secrets.token_hex(), OPENROUTER_BASE_URL=emulator.url, DEBUG=True)
    before = app.wsgi_app
    OpenRouterAuth(app)
    app.wsgi_app = lambda *args: before(*args)  # type: ignore[method-assign]
    gc.collect()
    # The guard above the route does nothing by itself.
    requires_openrouter_key(app.get("/above")(lambda: "open"))
    with pytest.raises(RuntimeError, match="is not guarded"):
        app.test_client().get("/above")


def test_an_app_that_never_serves_a_request_leaves_no_receiver(emulator: Emulator) -> None:
    gc.collect()
    before = len(request_started.receivers)
    apps = [make_site(emulator) for _ in range(3)]
    assert len(request_started.receivers) == before + 3
    apps[0].test_client().get("/")
    assert len(request_started.receivers) == before + 2
    del apps
    gc.collect()
    assert len(request_started.receivers) == before


def test_time_that_the_tests_of_an_app_replace_counts(
    emulator: Emulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    visitor = Visitor(make_site(emulator))
    callback = emulator.approve(visitor.start())
    now = time.time()
    monkeypatch.setattr(time, "time", lambda: now + 5_000)
    assert "too long" in visitor.get(callback).text
