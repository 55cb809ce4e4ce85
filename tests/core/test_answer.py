"""What goes with the answer, whenever in a request it comes up, and what comes too late for it."""

from __future__ import annotations

from pathlib import Path
from threading import Thread
from typing import Any

import pytest
from flask import Flask, Response, request, send_file, stream_with_context
from visitor import NAVIGATE, Visitor
from werkzeug.wrappers import Response as AnyResponse

from flask_openrouter import current_openrouter, requires_openrouter_key
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


def test_a_hook_after_the_view_may_look_and_disconnect(site: Any) -> None:
    @site.app.after_request
    def look(response: Response) -> Response:
        response.headers["X-Connected"] = str(bool(current_openrouter))
        if request.path == "/leave":
            current_openrouter.disconnect()
        return response

    site.connect()
    answer = site.visitor.get("/")
    assert answer.headers["X-Connected"] == "True"
    assert "Cookie" in answer.vary
    site.visitor.get("/leave")
    assert site.visitor.get("/").headers["X-Connected"] == "False"


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


@pytest.mark.parametrize("add_view", [_streamed, _threaded])
def test_r98_what_is_too_late_for_the_cookie_never_says_disconnected(
    add_view: Any, site: Any
) -> None:
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


def test_an_app_behind_an_app_has_connections_and_cookies_of_its_own(
    make_app: Any, emulator: Any
) -> None:
    """Both call the same person 1, and both serve the same WSGI environment."""
    inner: Flask = make_app({"storage": MemoryStorage()})
    outer: Flask = make_app({"storage": MemoryStorage()})
    for app in (inner, outer):
        app.extensions["openrouter"].callbacks.owner_loader = lambda: "1"

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
