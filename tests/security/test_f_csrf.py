"""F. Other pages: nobody else's page disconnects anybody, and no script gets a login page."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from components import require
from flask import Flask, request
from visitor import NAVIGATE, Visitor

from flask_openrouter import current_openrouter, requires_openrouter_key
from flask_openrouter.emulator import Emulator

MakeApp = Callable[..., Flask]

FOREIGN = [
    {"Origin": "https://evil.example"},
    {"Origin": "null"},
    {"Origin": ""},
    {"Origin": "https://localhost"},
    {"Origin": "http://localhost:81"},
    {"Origin": "http://localhost.evil.example"},
    {"Origin": "http://evil.example#http://localhost"},
    {"Origin": "http://localhost@evil.example"},
    {"Origin": "http://localhost/"},
    {"Origin": "http://localhost http://evil.example"},
    {"Origin": "localhost"},
    {"Sec-Fetch-Site": "cross-site"},
    {"Sec-Fetch-Site": "same-site"},
    {"Sec-Fetch-Site": "cross-site", "Origin": "http://localhost"},
    {"Sec-Fetch-Site": "same-site", "Origin": "http://localhost"},
    {"Sec-Fetch-Site": "same-origin", "Origin": "https://evil.example"},
    {"Sec-Fetch-Site": "none", "Origin": "https://evil.example"},
    {"Sec-Fetch-Site": "none", "Origin": "null"},
    {"Sec-Fetch-Site": "cross-site", "Origin": "null"},
    {"Sec-Fetch-Site": ""},
    {"Sec-Fetch-Site": "Same-Origin"},
    {"Sec-Fetch-Site": "same-origin, cross-site"},
    {"Sec-Fetch-Site": "elsewhere"},
]
OWN = [
    {},
    {"Origin": "http://localhost"},
    {"Sec-Fetch-Site": "same-origin"},
    {"Sec-Fetch-Site": "same-origin", "Origin": "http://localhost"},
    {"Sec-Fetch-Site": "none"},
    # What browsers send from a page with the referrer policy "no-referrer", such as ours.
    {"Sec-Fetch-Site": "same-origin", "Origin": "null"},
    # What Chromium sends for a form on a page with the referrer policy "no-referrer".
    {"Sec-Fetch-Site": "same-origin", "Origin": "null"},
]


def post(visitor: Visitor, path: str, headers: dict[str, str], **form: str) -> Any:
    """A form sent with these headers and no others."""
    return visitor.client.post(path, base_url=visitor.base_url, headers=headers, data=form)


@pytest.mark.requirement("R52")
@pytest.mark.parametrize("headers", FOREIGN, ids=str)
def test_disconnect_is_refused_when_another_page_asks(
    headers: dict[str, str], visitor: Visitor, emulator: Emulator
) -> None:
    visitor.connect(emulator)
    key = visitor.key
    answer = post(visitor, "/openrouter/disconnect", headers)
    assert answer.status_code == 403
    assert "Set-Cookie" not in answer.headers
    assert visitor.key == key


@pytest.mark.requirement("R52")
@pytest.mark.parametrize("headers", OWN, ids=str)
def test_disconnect_is_granted_to_pages_of_this_origin(
    headers: dict[str, str], visitor: Visitor, emulator: Emulator
) -> None:
    """With neither header too: no browser of today omits both."""
    visitor.connect(emulator)
    assert post(visitor, "/openrouter/disconnect", headers).status_code == 303
    assert visitor.key is None


@pytest.mark.requirement("R52")
@pytest.mark.parametrize(
    ("base_url", "origin"),
    [
        ("https://app.example", "https://app.example"),
        ("https://app.example:8443", "https://app.example:8443"),
        ("http://127.0.0.1:5000", "http://127.0.0.1:5000"),
        ("https://[2001:db8::1]:8443", "https://[2001:db8::1]:8443"),
        ("https://xn--bcher-kva.example", "https://xn--bcher-kva.example"),
    ],
)
@pytest.mark.parametrize("site", [None, "same-origin"])
def test_disconnect_works_under_every_kind_of_name(
    site: str | None, base_url: str, origin: str, app: Flask
) -> None:
    """Browsers send the origin in ASCII, whatever the name looks like in the address bar."""
    headers = {"Origin": origin} | ({} if site is None else {"Sec-Fetch-Site": site})
    answer = post(Visitor(app, base_url), "/openrouter/disconnect", headers)
    assert answer.status_code == 303


@pytest.mark.requirement("R52")
def test_a_proxy_that_speaks_https_for_us_does_not_get_in_the_way(visitor: Visitor) -> None:
    headers = {"Sec-Fetch-Site": "same-origin", "Origin": "https://localhost"}
    assert post(visitor, "/openrouter/disconnect", headers).status_code == 303


@pytest.mark.requirement("R52")
@pytest.mark.parametrize("path", ["/openrouter/code", "/openrouter/save"])
@pytest.mark.parametrize("headers", FOREIGN, ids=str)
def test_the_other_forms_are_refused_to_other_pages_as_well(
    headers: dict[str, str], path: str, visitor: Visitor, emulator: Emulator
) -> None:
    form = {"code": "any-code", "state": "s" * 43}
    answer = post(visitor, path, headers, **form)
    assert answer.status_code == 403
    assert emulator.count("POST", "/api/v1/auth/keys") == 0


@pytest.mark.requirement("R52")
def test_disconnect_works_with_the_csrf_protection_of_flask_wtf(
    make_app: MakeApp, emulator: Emulator
) -> None:
    try:
        from flask_wtf.csrf import CSRFProtect, generate_csrf
    except ImportError:
        require("flask-wtf", "not installed")
    app = make_app()
    CSRFProtect(app)

    @app.get("/page")
    def page() -> str:
        return generate_csrf()

    visitor = Visitor(app)
    visitor.connect(emulator)
    key = visitor.key
    assert key is not None
    assert post(visitor, "/openrouter/disconnect", {}).status_code == 400
    assert post(visitor, "/openrouter/disconnect", {}, csrf_token="wrong").status_code == 400
    value = visitor.get("/page").text
    foreign = {"Origin": "https://evil.example"}
    assert post(visitor, "/openrouter/disconnect", foreign, csrf_token=value).status_code == 403
    assert visitor.key == key
    assert post(visitor, "/openrouter/disconnect", {}, csrf_token=value).status_code == 303
    assert visitor.key is None


SCRIPTS = [
    {"Accept": "application/json"},
    {"Accept": "application/json, text/plain, */*"},
    {"Sec-Fetch-Dest": "empty", "Sec-Fetch-Mode": "cors"},
    {"Sec-Fetch-Mode": "no-cors"},
    {"Sec-Fetch-Mode": "same-origin"},
    {"X-Requested-With": "XMLHttpRequest"},
    {"HX-Request": "true"},
    {"Content-Type": "application/json"},
]


@pytest.mark.requirement("R54")
@pytest.mark.parametrize("headers", SCRIPTS, ids=str)
def test_scripts_get_401_json_from_the_guard(headers: dict[str, str], app: Flask) -> None:
    client = app.test_client()
    answer = client.get("/guarded", headers=headers)
    assert answer.status_code == 401
    assert answer.is_json
    assert answer.json is not None
    assert answer.json["error"] == "key_required"
    assert answer.json["login_url"].startswith("/openrouter/login")
    assert "Location" not in answer.headers
    assert "Set-Cookie" not in answer.headers


@pytest.mark.requirement("R54")
@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE"])
def test_a_request_with_a_body_is_never_sent_on_or_replayed(
    method: str, app: Flask, emulator: Emulator
) -> None:
    bodies = []

    @app.route("/ask", methods=["GET", "POST", "PUT", "PATCH", "DELETE"])
    @requires_openrouter_key
    def ask() -> str:
        bodies.append(request.get_data())
        return current_openrouter.masked_key

    visitor = Visitor(app)
    headers = {**NAVIGATE, "Referer": "http://localhost/chat?room=1"}
    asked = visitor.client.open("/ask", method=method, headers=headers, data={"prompt": "secret"})
    # 303, after which browsers ask with GET.
    assert asked.status_code == 303
    assert asked.location == "/openrouter/login?next=/chat?room%3D1"
    assert "secret" not in str(asked.headers)
    start = visitor.get(asked.location)
    assert "secret" not in start.location
    landed = visitor.get(emulator.approve(start.location))
    assert landed.location == "/chat?room=1"
    assert bodies == []


@pytest.mark.requirement("R54")
@pytest.mark.parametrize(
    "referrer",
    [
        None,
        "",
        "https://evil.example/chat",
        "http://localhost:81/chat",
        "http://localhost@evil.example/",
        "http://[",
        "http://localhost",
        "about:blank",
        "javascript:alert(1)",
        "http://localhost//evil.example",
        "http://localhost/openrouter/login",
    ],
)
def test_a_post_without_a_page_of_ours_behind_it_returns_to_the_front_page(
    referrer: str | None, app: Flask, emulator: Emulator
) -> None:
    @app.post("/ask")
    @requires_openrouter_key
    def ask() -> str:
        raise AssertionError("the view ran")

    visitor = Visitor(app)
    headers = {} if referrer is None else {"Referer": referrer}
    asked = visitor.post("/ask", headers=headers)
    assert asked.status_code == 303
    assert asked.location in ("/openrouter/login", "/openrouter/login?next=/")
    start = visitor.get(asked.location)
    assert visitor.get(emulator.approve(start.location)).location == "/"


class JunkStorage:
    """Gives back what it was told to, or raises it."""

    def __init__(self) -> None:
        self.junk: Any = None

    def get(self, owner_id: str) -> Any:
        if isinstance(self.junk, BaseException):
            raise self.junk
        return self.junk

    def set(self, owner_id: str, ciphertext: str) -> None:
        self.junk = ciphertext

    def delete(self, owner_id: str) -> None: ...


JUNK: list[object] = ["", b"", 0, {}, " ", None, False, [], b"sk-or-v1-0", "AQ", "AQ==", "\0"]
JUNK += ["sk-or-v1-" + "0" * 64, "." * 100_000, "\ud800", OSError("down"), TimeoutError()]
JUNK += [RuntimeError("x"), KeyError("x"), RecursionError(), MemoryError()]


@pytest.mark.requirement("R55")
@pytest.mark.parametrize("junk", JUNK, ids=lambda junk: ascii(junk)[:40])
def test_the_guard_fails_closed_whatever_the_storage_does(
    junk: object, make_app: MakeApp, emulator: Emulator
) -> None:
    storage = JunkStorage()
    app = make_app({"storage": storage})
    ran = []

    @app.get("/mine")
    @requires_openrouter_key
    def mine() -> str:
        ran.append(1)
        return "mine"

    visitor = Visitor(app)
    visitor.connect(emulator)
    good = storage.junk
    assert visitor.get("/mine").text == "mine"
    storage.junk = junk
    for headers in ({}, {"Accept": "application/json"}):
        answer = visitor.get("/mine", **headers)
        assert answer.status_code in ((503,) if isinstance(junk, Exception) else (303, 401))
    assert len(ran) == 1
    storage.junk = good
    assert visitor.get("/mine").text == "mine"


@pytest.mark.requirement("R55")
def test_the_guard_fails_closed_when_the_owner_cannot_be_told(
    app: Flask, emulator: Emulator
) -> None:
    answers: list[Any] = []
    app.extensions["openrouter"].app_functions.owner_loader = lambda: answers[-1]
    visitor = Visitor(app)
    for owner_id in (
        "",
        "x" * 256,
        "a\0b",
        "browser:abc",
        1.5,
        True,
        b"alice",
        ["alice"],
        object(),
    ):
        answers.append(owner_id)
        assert visitor.get("/guarded").status_code == 503
        assert visitor.get("/openrouter/login").status_code == 503
        assert visitor.get("/openrouter/status").status_code == 503
    answers.append("alice")
    visitor.connect(emulator)
    assert visitor.key is not None
    answers.append("bob")
    assert visitor.key is None
