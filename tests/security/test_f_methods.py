"""F. Methods and speculative loads: only a person who visits starts or finishes anything."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from urllib.parse import urlsplit

import pytest
from flask import Flask, session
from visitor import NAVIGATE, Visitor

from flask_openrouter import requires_openrouter_key
from flask_openrouter.emulator import Emulator

MakeApp = Callable[..., Flask]
EXCHANGE = ("POST", "/api/v1/auth/keys")

PREFETCHES = [
    {"Sec-Purpose": "prefetch"},
    {"Sec-Purpose": "prefetch;prerender"},
    {"Sec-Purpose": "prefetch;anonymous-client-ip"},
    {"Purpose": "prefetch"},
    {"Purpose": "Prefetch"},
    {"X-Moz": "prefetch"},
    {"X-Purpose": "preview", "Purpose": "preview"},
]
SUBRESOURCES = [
    {"Sec-Fetch-Dest": "image", "Sec-Fetch-Mode": "no-cors", "Sec-Fetch-Site": "cross-site"},
    {"Sec-Fetch-Dest": "image", "Sec-Fetch-Mode": "no-cors", "Sec-Fetch-Site": "same-origin"},
    {"Sec-Fetch-Dest": "script", "Sec-Fetch-Mode": "no-cors", "Sec-Fetch-Site": "cross-site"},
    {"Sec-Fetch-Dest": "style", "Sec-Fetch-Mode": "no-cors", "Sec-Fetch-Site": "same-site"},
    {"Sec-Fetch-Dest": "empty", "Sec-Fetch-Mode": "cors", "Sec-Fetch-Site": "same-origin"},
    {"Sec-Fetch-Dest": "empty", "Sec-Fetch-Mode": "no-cors", "Sec-Fetch-Site": "cross-site"},
    {"Sec-Fetch-Dest": "iframe", "Sec-Fetch-Mode": "navigate", "Sec-Fetch-Site": "cross-site"},
    {"Sec-Fetch-Dest": "frame", "Sec-Fetch-Mode": "navigate", "Sec-Fetch-Site": "same-origin"},
    {"Sec-Fetch-Dest": "fencedframe", "Sec-Fetch-Mode": "navigate"},
    {"Sec-Fetch-Dest": "embed", "Sec-Fetch-Mode": "navigate", "Sec-Fetch-Site": "cross-site"},
    {"Sec-Fetch-Dest": "object", "Sec-Fetch-Mode": "navigate", "Sec-Fetch-Site": "cross-site"},
]


def bare(visitor: Visitor, method: str, url: str, headers: dict[str, str]) -> Any:
    """A request with these headers and no others."""
    parts = urlsplit(url)
    path = parts._replace(scheme="", netloc="").geturl()
    return visitor.client.open(path, method=method, base_url=visitor.base_url, headers=headers)


def pending_logins(visitor: Visitor) -> int:
    with visitor.client.session_transaction() as stored:
        return sum(len(value) for value in stored.values() if isinstance(value, list))


def assert_nothing_happened(answer: Any, emulator: Emulator) -> None:
    assert answer.status_code == 204 or 400 <= answer.status_code < 600
    assert answer.status_code != 500
    assert "Set-Cookie" not in answer.headers
    assert "Location" not in answer.headers
    assert emulator.count(*EXCHANGE) == 0


@pytest.mark.requirement("R45")
def test_head_has_no_effect(visitor: Visitor, emulator: Emulator) -> None:
    assert_nothing_happened(bare(visitor, "HEAD", "/openrouter/login", NAVIGATE), emulator)
    assert_nothing_happened(bare(visitor, "HEAD", "/openrouter/code", NAVIGATE), emulator)
    assert pending_logins(visitor) == 0
    callback_url = emulator.approve(visitor.start("/a"))
    for _ in range(3):
        assert_nothing_happened(bare(visitor, "HEAD", callback_url, NAVIGATE), emulator)
    assert visitor.get(callback_url).location == "/a"
    assert visitor.key is not None


@pytest.mark.requirement("R46")
@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "PATCH", "TRACE", "PROPFIND", "X"])
def test_other_methods_are_refused(method: str, visitor: Visitor, emulator: Emulator) -> None:
    callback_url = emulator.approve(visitor.start())
    for url in (
        callback_url,
        "/openrouter/login",
        "/openrouter/status",
        "/openrouter/disconnected",
    ):
        answer = bare(visitor, method, url, NAVIGATE)
        assert answer.status_code == 405
        assert_nothing_happened(answer, emulator)
    if method != "POST":
        for url in ("/openrouter/disconnect", "/openrouter/save", "/openrouter/code"):
            assert bare(visitor, method, url, NAVIGATE).status_code == 405
    assert visitor.get(callback_url).status_code == 303


@pytest.mark.requirement("R46")
def test_options_tells_what_is_allowed_and_no_more(visitor: Visitor, emulator: Emulator) -> None:
    callback_url = emulator.approve(visitor.start())
    preflight = {
        "Origin": "https://evil.example",
        "Access-Control-Request-Method": "POST",
        "Access-Control-Request-Headers": "X-Requested-With",
    }
    for url, allowed in (
        (callback_url, {"GET", "HEAD", "OPTIONS"}),
        ("/openrouter/login", {"GET", "HEAD", "OPTIONS"}),
        ("/openrouter/status", {"GET", "HEAD", "OPTIONS"}),
        ("/openrouter/disconnect", {"POST", "OPTIONS"}),
        ("/openrouter/save", {"POST", "OPTIONS"}),
        ("/openrouter/code", {"GET", "HEAD", "POST", "OPTIONS"}),
    ):
        answer = bare(visitor, "OPTIONS", url, preflight)
        assert answer.status_code == 200
        assert set(answer.headers["Allow"].split(", ")) == allowed
        assert not [name for name, _ in answer.headers if name.startswith("Access-Control")]
        assert "Set-Cookie" not in answer.headers
    assert emulator.count(*EXCHANGE) == 0


@pytest.mark.requirement("R46")
def test_no_header_or_parameter_changes_the_method(visitor: Visitor, emulator: Emulator) -> None:
    visitor.connect(emulator)
    override = {"X-HTTP-Method-Override": "POST", "X-Method-Override": "POST", **NAVIGATE}
    for url in ("/openrouter/disconnect", "/openrouter/disconnect?_method=POST"):
        assert bare(visitor, "GET", url, override).status_code == 405
    callback_url = emulator.approve(visitor.start())
    data = {"_method": "GET"}
    headers = {"X-HTTP-Method-Override": "GET"}
    path = urlsplit(callback_url)._replace(scheme="", netloc="").geturl()
    assert visitor.post(path, data=data, headers=headers).status_code == 405
    assert visitor.key is not None
    assert emulator.count(*EXCHANGE) == 1


@pytest.mark.requirement("R47")
@pytest.mark.parametrize("headers", PREFETCHES, ids=str)
def test_speculative_loads_start_and_finish_nothing(
    headers: dict[str, str], visitor: Visitor, emulator: Emulator
) -> None:
    for path in ("/openrouter/login", "/openrouter/code"):
        answer = bare(visitor, "GET", path, {**NAVIGATE, **headers})
        assert_nothing_happened(answer, emulator)
    callback_url = emulator.approve(visitor.start("/a"))
    answer = bare(visitor, "GET", callback_url, {**NAVIGATE, **headers})
    assert_nothing_happened(answer, emulator)
    assert visitor.get(callback_url).location == "/a"
    assert visitor.key is not None


@pytest.mark.requirement("R48")
@pytest.mark.parametrize("headers", SUBRESOURCES, ids=str)
def test_sub_resource_loads_do_nothing(
    headers: dict[str, str], visitor: Visitor, emulator: Emulator
) -> None:
    for path in ("/openrouter/login", "/openrouter/code"):
        assert_nothing_happened(bare(visitor, "GET", path, headers), emulator)
        assert_nothing_happened(bare(Visitor(visitor.app), "GET", path, headers), emulator)
    callback_url = emulator.approve(visitor.start("/a"))
    assert_nothing_happened(bare(visitor, "GET", callback_url, headers), emulator)
    denied = emulator.deny(visitor.start("/b"))
    assert_nothing_happened(bare(visitor, "GET", denied, headers), emulator)
    assert pending_logins(visitor) == 2
    assert visitor.get(callback_url).location == "/a"


@pytest.mark.requirement("R48")
@pytest.mark.parametrize("method", ["load", "click"])
def test_a_browser_that_sends_no_fetch_metadata_is_served(
    method: str, visitor: Visitor, emulator: Emulator
) -> None:
    headers = {"Referer": "http://localhost/"} if method == "click" else {}
    start = bare(visitor, "GET", "/openrouter/login?next=/a", headers)
    assert start.status_code == 303
    landed = bare(visitor, "GET", emulator.approve(start.location), headers)
    assert landed.location == "/a"
    assert visitor.key is not None


@pytest.mark.requirement("R51")
def test_disconnect_takes_post_only(visitor: Visitor, emulator: Emulator) -> None:
    visitor.connect(emulator)
    key = visitor.key
    for method in ("GET", "HEAD", "PUT", "DELETE", "PATCH"):
        for headers in (NAVIGATE, *SUBRESOURCES):
            answer = bare(visitor, method, "/openrouter/disconnect", headers)
            assert answer.status_code == 405
            assert "Set-Cookie" not in answer.headers
    assert visitor.connect(emulator, "/openrouter/disconnect").location == "/"
    assert visitor.key not in (None, key)


@pytest.mark.requirement("R53")
def test_disconnect_is_idempotent_and_clears_only_its_own_things(
    make_app: MakeApp, emulator: Emulator
) -> None:
    app = make_app()

    @app.get("/sign-in")
    def sign_in() -> str:
        session.update(user="alice", cart=[1, 2])
        return "hello"

    @app.get("/me")
    def me() -> dict[str, Any]:
        return dict(session)

    visitor = Visitor(app)
    visitor.get("/sign-in")
    connected = visitor.connect(emulator)
    visitor.client.set_cookie("other", "1")
    (put,) = [line for line in connected.headers.getlist("Set-Cookie") if "openrouter=" in line]
    waiting = emulator.approve(visitor.start("/b"))

    gone = visitor.post("/openrouter/disconnect")

    (deleted,) = gone.headers.getlist("Set-Cookie")
    attributes = [
        {part.strip() for part in line.split(";")[1:] if "age" not in part.lower()}
        for line in (put, deleted)
    ]
    assert {p for p in attributes[0] if "xpires" not in p} == {
        p for p in attributes[1] if "xpires" not in p
    }
    assert "Max-Age=0" in deleted
    assert visitor.key is None
    for _ in range(2):
        again = visitor.post("/openrouter/disconnect")
        assert again.status_code == 303
        assert "Set-Cookie" not in again.headers
    host = visitor.get("/me").json
    assert host is not None
    assert (host["user"], host["cart"]) == ("alice", [1, 2])
    assert visitor.client.get_cookie("other") is not None
    # A login that is under way is not a connection, and goes on.
    assert visitor.get(waiting).location == "/b"


@pytest.mark.requirement("R55")
def test_a_login_is_no_permission(visitor: Visitor, emulator: Emulator) -> None:
    """Half a login, a refused one and a spent one open no guarded view."""
    ran = []

    @visitor.app.get("/mine")
    @requires_openrouter_key
    def mine() -> str:
        ran.append(1)
        return "mine"

    visitor.start()
    assert visitor.get("/mine").status_code == 303
    visitor.get(emulator.deny(visitor.start()))
    assert visitor.get("/mine").status_code == 303
    with emulator.faults(status=403, path="/api/v1/auth/keys"):
        visitor.connect(emulator)
    assert visitor.get("/mine").status_code == 303
    assert ran == []
