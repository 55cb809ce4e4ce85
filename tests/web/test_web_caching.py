"""Response headers that keep one visitor's pages out of shared caches.

(CVE-2023-30861; CVE-2026-27205; OWASP ASVS 5.0, 14.2.2 and 14.3.2.)
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import pytest
from attack import EXCHANGE
from failing_storage import FailingStorage
from flask import Flask, Response, request, send_file
from visitor import NAVIGATE, Visitor
from werkzeug.test import Client, TestResponse, run_wsgi_app

from flask_openrouter import current_openrouter, requires_openrouter_key
from flask_openrouter.emulator import Emulator
from flask_openrouter.storage.memory import MemoryStorage

pytest_plugins = "sites"


def _is_private(response: TestResponse) -> bool:
    return response.cache_control.no_store is not None and "Cookie" in response.vary


def _guarded_responses(visitor: Visitor, emulator: Emulator) -> dict[str, TestResponse]:
    found = {
        "guard, page": visitor.get("/guarded"),
        "guard, script": visitor.client.get("/guarded", headers={"Accept": "application/json"}),
        "guard, htmx": visitor.client.get("/guarded", headers={"HX-Request": "true"}),
    }
    visitor.connect(emulator)
    return {**found, "guarded view": visitor.get("/guarded"), "bug": visitor.get("/buggy")}


@pytest.mark.requirement("R25")
def test_every_response_of_the_extension_stays_out_of_shared_caches(
    make_app: Any, emulator: Emulator
) -> None:
    app: Flask = make_app(PROPAGATE_EXCEPTIONS=False)

    @app.get("/buggy")
    @requires_openrouter_key
    def buggy() -> str:
        raise ValueError("a bug")

    visitor = Visitor(app)
    responses = _guarded_responses(visitor, emulator)
    assert responses["bug"].status_code == 500
    callback = emulator.approve(visitor.start())
    responses["login"] = visitor.get("/openrouter/login")
    responses["callback"] = visitor.get(callback)
    responses["callback, unknown"] = visitor.get(callback.replace("state=", "state=x"))
    responses["callback, declined"] = visitor.get(visitor.callback_url(visitor.start()))
    with emulator.faults(status=500, path=EXCHANGE):
        responses["callback, 502"] = visitor.get(emulator.approve(visitor.start()))
    responses["status"] = visitor.get("/openrouter/status")
    responses["code"] = visitor.get("/openrouter/code")
    responses["prefetch"] = visitor.get("/openrouter/login", **{"Sec-Purpose": "prefetch"})
    responses["image"] = visitor.get("/openrouter/login", **{"Sec-Fetch-Dest": "image"})
    responses["disconnect, foreign"] = visitor.post(
        "/openrouter/disconnect", headers={"Sec-Fetch-Site": "cross-site"}
    )
    responses["disconnect"] = visitor.post("/openrouter/disconnect")
    responses["disconnected"] = visitor.get(responses["disconnect"].location)
    responses["save"] = visitor.post("/openrouter/save")
    assert [name for name, response in responses.items() if not _is_private(response)] == []


@pytest.mark.requirement("R25")
def test_errors_of_the_storage_stay_out_of_shared_caches(make_app: Any) -> None:
    visitor = Visitor(make_app({"storage": FailingStorage("get")}))
    visitor.app.extensions["openrouter"].app_functions.owner_loader = lambda: "alice"
    for path in ("/guarded", "/openrouter/status"):
        response = visitor.get(path)
        assert response.status_code == 503
        assert _is_private(response)


@pytest.mark.requirement("R25")
def test_a_guarded_page_is_not_stored_unless_the_view_decides_on_caching(site: Any) -> None:
    def cached() -> Any:
        return "shown", {"Cache-Control": "private, max-age=60", "Vary": "Accept"}

    site.app.add_url_rule("/cached", "cached", requires_openrouter_key(cached))
    site.connect()
    plain = site.visitor.get("/guarded")
    assert plain.headers["Cache-Control"] == "no-store"
    assert "Cookie" in plain.headers["Vary"]
    own = site.visitor.get("/cached")
    assert own.headers["Cache-Control"] == "private, max-age=60"
    assert {"Accept", "Cookie"} <= set(own.headers["Vary"].split(", "))


@pytest.mark.requirement("R25")
def test_a_page_that_only_looks_at_the_connection_varies_by_cookie(
    stored_apps: Any, emulator: Emulator
) -> None:
    """As with Flask's session: a view that reads it has made a page for one visitor."""
    app: Flask = stored_apps()

    @app.get("/greeting")
    def greeting() -> str:
        return current_openrouter.masked_key if current_openrouter else "hello, stranger"

    visitor = Visitor(app)
    assert "Cookie" in visitor.get("/greeting").vary
    visitor.connect(emulator)
    assert "Cookie" in visitor.get("/greeting").vary
    assert "Cookie" not in visitor.get("/").vary, "the other pages are for everybody"


def test_a_page_for_one_visitor_is_private_if_no_cookie_names_the_owner(make_site: Any) -> None:
    """``Vary: Cookie`` alone would not suffice here."""
    site = make_site({"storage": MemoryStorage()})
    site.auth.owner_loader(lambda: request.headers.get("X-User"))
    site.app.add_url_rule("/open", "open", lambda: str(bool(current_openrouter)))
    response = site.visitor.get("/open")
    assert response.headers["Cache-Control"] == "private"
    assert "Cookie" in response.vary


def test_a_guarded_page_varies_by_cookie_even_if_no_cookie_was_read(make_site: Any) -> None:
    site = make_site({"storage": MemoryStorage()})
    site.auth.owner_loader(lambda: "alice")
    site.connect()
    assert "Cookie" in site.app.test_client().get("/guarded").headers["Vary"]


def test_a_view_that_says_how_long_but_not_for_whom_is_private(site: Any) -> None:
    expected = {
        "max-age=60": "max-age=60, private",
        "no-cache": "no-cache, private",
        "public, max-age=60": "public, max-age=60",
        "Private": "Private",
        "no-store": "no-store",
        'private="Set-Cookie, X-A", s-maxage=60': "s-maxage=60, private",
        'max-age=60, a="x, public, no-store"': 'max-age=60, a="x, public, no-store", private',
    }

    def view() -> tuple[str, dict[str, str]]:
        return str(bool(current_openrouter)), {"Cache-Control": request.args["own"]}

    site.app.add_url_rule("/open", "open", view)
    site.app.add_url_rule("/closed", "closed", requires_openrouter_key(lambda: view()))
    site.connect()
    for path in ("/open", "/closed"):
        found = {
            own: site.visitor.get(f"{path}?own={own}").headers["Cache-Control"] for own in expected
        }
        assert found == expected, path


def test_two_cache_control_lines_of_a_view_count_as_one(site: Any) -> None:
    def view() -> Response:
        response = Response("x")
        response.headers.add("Cache-Control", "no-cache")
        response.headers.add("Cache-Control", "no-store")
        return response

    site.app.add_url_rule("/view", "view", requires_openrouter_key(view))
    site.connect()
    lines = site.visitor.get("/view").headers.getlist("Cache-Control")
    assert lines == ["no-cache", "no-store"]


def test_a_file_that_a_guarded_view_sends_is_private(site: Any) -> None:
    site.app.add_url_rule("/file", "file", requires_openrouter_key(lambda: send_file(__file__)))
    site.connect()
    with site.visitor.get("/file") as response:
        assert response.headers["Cache-Control"] == "no-cache, private"
        assert response.data == Path(__file__).read_bytes()


WSGIApp = Callable[[dict[str, Any], Callable[..., Any]], Iterable[bytes]]


class NaiveCache:
    """A shared cache that heeds the address, no-store and private, and nothing else."""

    def __init__(self, app: WSGIApp) -> None:
        self.app = app
        self.kept: dict[str, tuple[list[bytes], str, Any]] = {}

    def __call__(self, environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        address = f"{environ['PATH_INFO']}?{environ['QUERY_STRING']}"
        if environ["REQUEST_METHOD"] == "GET" and address not in self.kept:
            body, status, headers = run_wsgi_app(self.app, environ, buffered=True)
            response = ([*body], status, headers)
            if not any(word in headers.get("Cache-Control", "") for word in ("no-store", "priv")):
                self.kept[address] = response
        elif environ["REQUEST_METHOD"] == "GET":
            response = self.kept[address]
        else:
            return self.app(environ, start_response)
        start_response(response[1], response[2].to_wsgi_list())
        return response[0]


@pytest.mark.requirement("R25")
@pytest.mark.parametrize("path", ["/guarded", "/openrouter/status", "/openrouter/login"])
def test_a_naive_cache_serves_no_visitor_the_page_or_cookie_of_another(
    app: Flask, emulator: Emulator, path: str
) -> None:
    cache = NaiveCache(app.wsgi_app)
    one, two = Client(cache), Client(cache)
    login = one.get("/openrouter/login", headers=NAVIGATE).headers["Location"]
    callback = emulator.approve(login).removeprefix("http://localhost")
    one.get(callback, headers=NAVIGATE)

    first = one.get(path, headers=NAVIGATE)
    second = two.get(path, headers=NAVIGATE)

    assert first.data != second.data or first.headers.get("Location") != second.headers["Location"]
    assert first.headers.get("Set-Cookie") is None or (
        first.headers["Set-Cookie"] != second.headers.get("Set-Cookie")
    )
    replay = two.get(callback, headers=NAVIGATE)
    assert replay.status_code == 400
    assert two.get("/guarded", headers=NAVIGATE).status_code == 303
