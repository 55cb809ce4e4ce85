"""What goes with the answer, whenever in a request it comes up, and what comes too late for it."""

from __future__ import annotations

import secrets
from collections.abc import Callable
from pathlib import Path
from threading import Thread
from typing import Any

import pytest
from flask import Flask, Response, request, send_file, stream_with_context
from visitor import NAVIGATE, Visitor
from werkzeug.wrappers import Response as AnyResponse

from flask_openrouter import OpenRouterAuth, current_openrouter, requires_openrouter_key
from flask_openrouter.emulator import Emulator
from flask_openrouter.errors import KeyRejectedError, KeyStorageError
from flask_openrouter.signals import key_disconnected
from flask_openrouter.storage.memory import MemoryStorage


def test_a_page_for_one_visitor_is_private_whatever_tells_the_owner(make_site: Any) -> None:
    """Here no cookie tells, so Vary alone would not do."""
    site = make_site({"storage": MemoryStorage()})
    site.auth.owner_loader(lambda: request.headers.get("X-User"))
    site.app.add_url_rule("/open", "open", lambda: str(bool(current_openrouter)))
    answer = site.visitor.get("/open")
    assert answer.headers["Cache-Control"] == "private"
    assert "Cookie" in answer.vary


@pytest.mark.parametrize(
    ("own", "sent"),
    [
        ("max-age=60", "max-age=60, private"),
        ("no-cache", "no-cache, private"),
        ("public, max-age=60", "public, max-age=60"),
        ("Private", "Private"),
        ("no-store", "no-store"),
    ],
)
@pytest.mark.parametrize("path", ["/open", "/closed"])
def test_a_view_that_says_how_long_and_not_who_is_for_one_visitor(
    path: str, own: str, sent: str, site: Any
) -> None:
    def view() -> tuple[str, dict[str, str]]:
        return str(bool(current_openrouter)), {"Cache-Control": own}

    site.app.add_url_rule("/open", "open", view)
    site.app.add_url_rule("/closed", "closed", requires_openrouter_key(lambda: view()))
    site.connect()
    assert site.visitor.get(path).headers["Cache-Control"] == sent


def test_a_file_that_a_guarded_view_sends_is_private(site: Any) -> None:
    site.app.add_url_rule("/file", "file", requires_openrouter_key(lambda: send_file(__file__)))
    site.connect()
    with site.visitor.get("/file") as answer:
        assert answer.headers["Cache-Control"] == "no-cache, private"
        assert answer.data == Path(__file__).read_bytes()


Hook = Callable[[Response], Response]


def visitor_of_site_with_hook(emulator: Emulator, hook: Hook, *, is_first: bool = False) -> Visitor:
    """Of an app with a hook that was registered after the extension, or before it."""
    app = Flask("site")
    app.config.update(SECRET_KEY=secrets.token_hex(), OPENROUTER_BASE_URL=emulator.url, DEBUG=True)
    app.config["PROPAGATE_EXCEPTIONS"] = False
    if is_first:
        app.after_request(hook)
    OpenRouterAuth(app)
    if not is_first:
        app.after_request(hook)
    app.add_url_rule("/guarded", "guarded", requires_openrouter_key(lambda: "guarded"))
    app.add_url_rule("/", "home", lambda: "home")
    return Visitor(app)


def test_a_hook_after_the_view_may_look_and_disconnect(emulator: Emulator) -> None:
    def hook(response: Response) -> Response:
        response.headers["X-Connected"] = str(bool(current_openrouter))
        if request.path == "/leave":
            current_openrouter.disconnect()
        return response

    visitor = visitor_of_site_with_hook(emulator, hook)
    visitor.connect(emulator)
    answer = visitor.get("/")
    assert answer.headers["X-Connected"] == "True"
    assert "Cookie" in answer.vary
    assert answer.headers["Cache-Control"] == "private"
    assert len(visitor.get("/leave").headers.getlist("Set-Cookie")) == 1
    assert visitor.get("/").headers["X-Connected"] == "False"


def test_a_hook_that_was_registered_before_the_extension_may_disconnect_too(
    emulator: Emulator,
) -> None:
    """Flask runs such hooks last."""

    def hook(response: Response) -> Response:
        if request.path == "/leave":
            current_openrouter.disconnect()
        return response

    visitor = visitor_of_site_with_hook(emulator, hook, is_first=True)
    visitor.connect(emulator)
    visitor.get("/leave")
    assert visitor.key is None


class TestAServerThatKeptTheWsgiAppFromBefore:
    """Such as Connexion: it calls ``app.wsgi_app`` as it was before ``init_app``."""

    @pytest.fixture
    def visitor(self, emulator: Emulator) -> Visitor:
        app = Flask("kept")
        app.config.update(SECRET_KEY=secrets.token_hex(), OPENROUTER_BASE_URL=emulator.url)
        app.config["DEBUG"] = True
        kept_wsgi_app = app.wsgi_app
        OpenRouterAuth(app)

        @app.after_request
        def leave_late(response: Response) -> Response:
            if request.path == "/late":
                current_openrouter.disconnect()
            return response

        app.add_url_rule("/guarded", "guarded", requires_openrouter_key(lambda: "guarded"))
        app.add_url_rule("/late", "late", requires_openrouter_key(lambda: "late"))
        app.wsgi_app = kept_wsgi_app  # type: ignore[method-assign]
        return Visitor(app)

    def test_it_connects_and_disconnects(self, visitor: Visitor, emulator: Emulator) -> None:
        visitor.connect(emulator)
        response = visitor.get("/guarded")
        assert (response.text, response.headers["Cache-Control"]) == ("guarded", "no-store")
        assert "Cookie" in response.vary
        visitor.post("/openrouter/disconnect")
        assert visitor.key is None

    def test_a_cookie_that_would_be_lost_is_an_error(
        self, visitor: Visitor, emulator: Emulator
    ) -> None:
        visitor.connect(emulator)
        with pytest.raises(KeyStorageError) as error:
            visitor.client.get("/late")
        assert "before the answer" in str(error.value.__cause__)
        assert visitor.key is not None


def test_a_cookie_that_was_written_twice_is_sent_once(emulator: Emulator) -> None:
    def hook(response: Response) -> Response:
        if request.path == "/openrouter/callback":
            current_openrouter.disconnect()
        return response

    visitor = visitor_of_site_with_hook(emulator, hook)
    names = [
        line.partition("=")[0] for line in visitor.connect(emulator).headers.getlist("Set-Cookie")
    ]
    assert sorted(names) == ["openrouter", "openrouter-done", "session"]
    assert visitor.key is None


@pytest.mark.parametrize("is_first", [True, False])
def test_a_hook_that_fails_costs_nobody_a_key_or_a_disconnect(
    is_first: bool, emulator: Emulator
) -> None:
    """Flask calls the hooks again for the page that says so."""

    def hook(response: Response) -> Response:
        if request.path.startswith("/openrouter/") and request.path != "/openrouter/login":
            raise OSError("the log is full")
        return response

    visitor = visitor_of_site_with_hook(emulator, hook, is_first=is_first)
    assert visitor.connect(emulator).status_code == 500
    assert visitor.key is not None
    assert visitor.post("/openrouter/disconnect").status_code == 500
    assert visitor.key is None


def test_a_hook_that_makes_another_answer_keeps_our_cookies(emulator: Emulator) -> None:
    def hook(response: Response) -> Response:
        return Response(response.get_data(), response.status, {"Location": response.location or ""})

    visitor = visitor_of_site_with_hook(emulator, hook)
    visitor.get(emulator.approve(visitor.start()))
    assert visitor.key is not None
    assert visitor.get("/guarded").headers["Cache-Control"] == "no-store"


@pytest.mark.parametrize("is_first", [True, False])
def test_a_hook_for_all_pages_does_not_open_a_guarded_one(
    is_first: bool, emulator: Emulator
) -> None:
    def hook(response: Response) -> Response:
        response.headers.setdefault("Cache-Control", "public, max-age=60")
        return response

    visitor = visitor_of_site_with_hook(emulator, hook, is_first=is_first)
    visitor.connect(emulator)
    assert visitor.get("/guarded").headers["Cache-Control"] == "no-store"
    assert visitor.get("/").headers["Cache-Control"] == "public, max-age=60"


@pytest.mark.parametrize(
    ("name", "said", "sent"),
    [
        ("Cache-Control", "max-age=60", "max-age=60, private"),
        ("Cache-Control", "no-cache", "no-cache, private"),
        ("Cache-Control", "public", "public"),
        ("Vary", "Accept", "Accept, Cookie"),
    ],
)
def test_a_hook_that_says_something_else_is_heard_and_completed(
    name: str, said: str, sent: str, emulator: Emulator
) -> None:
    def hook(response: Response) -> Response:
        response.headers[name] = said
        return response

    visitor = visitor_of_site_with_hook(emulator, hook)
    visitor.connect(emulator)
    assert visitor.get("/guarded").headers[name] == sent


def test_a_hook_that_sets_a_cookie_in_place_of_all_does_not_bring_a_key_back(
    emulator: Emulator,
) -> None:
    def hook(response: Response) -> Response:
        if request.path == "/openrouter/disconnect":
            response.headers["Set-Cookie"] = "theme=dark"
        return response

    visitor = visitor_of_site_with_hook(emulator, hook)
    visitor.connect(emulator)
    assert visitor.key is not None
    visitor.post("/openrouter/disconnect")
    assert visitor.key is None


def test_what_a_view_says_in_two_lines_counts_as_one(site: Any) -> None:
    def view() -> Response:
        answer = Response("x")
        answer.headers.add("Cache-Control", "no-cache")
        answer.headers.add("Cache-Control", "no-store")
        return answer

    site.app.add_url_rule("/view", "view", requires_openrouter_key(view))
    site.connect()
    lines = site.visitor.get("/view").headers.getlist("Cache-Control")
    assert lines == ["no-cache", "no-store"]


def _streamed(site: Any, caught: list[Exception]) -> None:
    def words() -> Any:
        yield "a"
        try:
            current_openrouter.disconnect()
        except KeyStorageError as error:
            caught.append(error)
        yield str(bool(current_openrouter))

    view = requires_openrouter_key(lambda: stream_with_context(words()))
    site.app.add_url_rule("/too-late", "too-late", view)


def _threaded(site: Any, caught: list[Exception]) -> None:
    @site.app.get("/too-late")
    @requires_openrouter_key
    def view() -> str:
        connection = current_openrouter.detach()

        def leave() -> None:
            try:
                connection.disconnect()
            except KeyStorageError as error:
                caught.append(error)

        thread = Thread(target=leave)
        thread.start()
        thread.join()
        return f"a{bool(connection)}"


@pytest.mark.requirement("R98")
@pytest.mark.parametrize("add_view", [_streamed, _threaded])
def test_what_is_too_late_for_the_cookie_never_says_disconnected(add_view: Any, site: Any) -> None:
    caught: list[Exception] = []
    told: list[Any] = []
    add_view(site, caught)
    site.connect()
    with key_disconnected.connected_to(lambda _, **payload: told.append(payload)):
        assert site.visitor.get("/too-late").text == "aTrue"
    (error,) = caught
    assert "before the answer" in str(error.__cause__)
    assert told == []
    assert site.visitor.key is not None


def test_a_dead_key_is_found_while_streaming_and_forgotten_by_the_next_request(site: Any) -> None:
    def words() -> Any:
        yield "a"
        try:
            current_openrouter.session.get("key")
        except KeyRejectedError:
            yield "dead"

    view = requires_openrouter_key(lambda: stream_with_context(words()))
    site.app.add_url_rule("/words", "words", view)
    site.app.add_url_rule(
        "/usage", "usage", requires_openrouter_key(lambda: str(current_openrouter.key_info()))
    )
    site.connect()
    site.emulator.revoke(site.issued_key())
    assert site.visitor.get("/words").text == "adead"
    assert site.visitor.get("/usage").status_code == 303
    assert site.visitor.key is None


def test_an_app_that_asks_itself_sends_what_it_was_told(site: Any) -> None:
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


def test_an_app_that_is_asked_within_the_request_of_another_knows_its_own(
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


def test_an_app_behind_an_app_has_connections_and_cookies_of_its_own(
    two_apps: tuple[Flask, Flask], emulator: Emulator
) -> None:
    """Both serve the same WSGI environment."""
    inner, outer = two_apps

    @outer.get("/through")
    @requires_openrouter_key
    def through() -> AnyResponse:
        environ = {**request.environ, "PATH_INFO": "/guarded"}
        answer = AnyResponse.from_app(inner.wsgi_app, environ)
        assert current_openrouter
        return answer

    visitor = Visitor(outer)
    visitor.connect(emulator)
    answer = visitor.get("/through", **NAVIGATE)
    assert answer.status_code == 303, "nobody has connected there"
    Visitor(inner).connect(emulator)
    assert visitor.get("/through", **NAVIGATE).text == Visitor(inner).get("/guarded").text
