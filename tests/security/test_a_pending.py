"""Logins that wait: several tabs, a bounded cookie, browsers without cookies, forced logins."""

from __future__ import annotations

import logging
import secrets
from typing import Any
from urllib.parse import urlencode

import pytest
from attack import exchanges, pending, set_cookies, state_of, states
from flask import Flask, session
from misbehaving import MisbehavingProvider, issue_key
from visitor import NAVIGATE, Visitor
from werkzeug.test import TestResponse

from flask_openrouter.emulator import Emulator

#: Name and value of a cookie that every browser takes (RFC 6265 §6.1), in bytes.
MAX_COOKIE = 4_093
CROSS_SITE = {"Sec-Fetch-Site": "cross-site"}


def cookie_size(answer: TestResponse) -> int:
    return max(
        (len(name) + len(value) for name, (value, _) in set_cookies(answer).items()), default=0
    )


def login(visitor: Visitor, next_url: str | None = None, **headers: str) -> TestResponse:
    """Begin a login, and see that a browser takes the cookie."""
    query = "" if next_url is None else "?" + urlencode({"next": next_url})
    answer = visitor.get(f"/openrouter/login{query}", **headers)
    assert answer.status_code == 303
    assert cookie_size(answer) <= MAX_COOKIE
    return answer


def long_next() -> str:
    # Random, so that nothing of it can be compressed away.
    return "/" + secrets.token_urlsafe(750)[:999]


def app_with_session(make_app: Any, size: int, **config: Any) -> Flask:
    """Return an app that keeps incompressible data in its session."""
    app: Flask = make_app(**config)

    @app.get("/fill")
    def fill() -> str:
        session["host"] = secrets.token_urlsafe(size)[:size]
        return "filled"

    return app


@pytest.mark.requirement("R11")
def test_several_tabs_finish_in_any_order(make_app: Any) -> None:
    with MisbehavingProvider([issue_key("sk-or-v1-" + "0" * 64)]) as provider:
        visitor = Visitor(make_app(OPENROUTER_BASE_URL=provider.url))
        tabs = {page: visitor.start(page) for page in ("/a", "/b", "/c")}
        verifiers = {entry[0]: entry[1] for entry in pending(visitor)}
        for page in ("/b", "/c", "/a"):
            callback = visitor.callback_url(tabs[page], code=f"code-for-{page[1:]}")
            assert visitor.get(callback).location == page
            body = provider.exchanges[-1].json
            assert body["code"] == f"code-for-{page[1:]}"
            assert body["code_verifier"] == verifiers[state_of(tabs[page])]
        assert len({entry.json["code_verifier"] for entry in provider.exchanges}) == 3
    assert pending(visitor) == []


@pytest.mark.requirement("R12")
def test_many_logins_stay_within_one_cookie(visitor: Visitor, emulator: Emulator) -> None:
    for _ in range(200):
        next_url = long_next()
        newest = login(visitor, next_url)
    landed = visitor.get(emulator.approve(newest.location))
    assert (landed.status_code, landed.location) == (303, next_url)


@pytest.mark.requirement("R12")
def test_many_plain_logins_are_bounded_and_the_oldest_goes_first(
    visitor: Visitor, emulator: Emulator
) -> None:
    started = [login(visitor).location for _ in range(30)]
    kept = states(visitor)
    assert 2 <= len(kept) < 30
    assert kept == [state_of(url) for url in started[-len(kept) :]]
    assert visitor.get(emulator.approve(started[0])).status_code == 400
    assert visitor.get(emulator.approve(started[-1])).status_code == 303


@pytest.mark.requirement("R12")
@pytest.mark.parametrize("size", [2_000, 2_600, 3_000, 3_400, 3_500])
@pytest.mark.parametrize("name", ["session", "a-much-longer-name-for-the-session-cookie"])
def test_an_app_that_fills_its_session_leaves_room_for_a_login(
    make_app: Any, emulator: Emulator, size: int, name: str
) -> None:
    """Werkzeug warns of cookies that are too big, and here every warning is an error."""
    app = app_with_session(
        make_app, size, SESSION_COOKIE_NAME=name, SESSION_COOKIE_DOMAIN="localhost"
    )
    visitor = Visitor(app)
    visitor.get("/fill")
    for _ in range(20):
        newest = login(visitor, long_next())
    assert visitor.get(emulator.approve(newest.location)).status_code == 303
    assert visitor.key is not None


@pytest.mark.requirement("R12")
@pytest.mark.parametrize("size", [2_900, 3_000, 3_100, 3_200, 3_300, 3_400, 3_500, 3_600])
def test_finished_logins_take_no_room_that_a_new_one_needs(
    make_app: Any, emulator: Emulator, size: int
) -> None:
    visitor = Visitor(app_with_session(make_app, size))
    visitor.get("/fill")
    for _ in range(4):
        newest = login(visitor, "/" + secrets.token_urlsafe(150)[:199])
        landed = visitor.get(emulator.approve(newest.location))
        assert landed.status_code == 303
        assert cookie_size(landed) <= MAX_COOKIE


@pytest.mark.requirement("R12")
def test_a_session_without_any_room_is_named_in_the_log(
    make_app: Any, caplog: pytest.LogCaptureFixture
) -> None:
    app = app_with_session(make_app, 3_900)
    app.config["MAX_COOKIE_SIZE"] = 0  # The warning of Werkzeug would be an error here.
    visitor = Visitor(app)
    visitor.get("/fill")
    with caplog.at_level(logging.WARNING, "flask_openrouter"):
        assert visitor.get("/openrouter/login").status_code == 303
    assert "too big" in caplog.text


@pytest.mark.requirement("R12")
def test_sessions_on_the_server_are_bounded_by_number(make_app: Any) -> None:
    """An app may replace Flask's sessions: then no cookie says how much is too much."""
    app: Flask = make_app()
    kept: dict[str, Any] = {}

    class Interface(type(app.session_interface).__mro__[1]):  # type: ignore[misc]
        def open_session(self, app: Flask, request: Any) -> Any:
            return OnServer(kept)

        def save_session(self, app: Flask, session: Any, response: Any) -> None:
            kept.clear()
            kept.update(session)

    class OnServer(dict):  # type: ignore[type-arg]
        accessed = modified = permanent = False

    app.session_interface = Interface()
    visitor = Visitor(app)
    for _ in range(30):
        login(visitor, long_next())
    assert len(kept["_openrouter"]) == 8


@pytest.mark.requirement("R13", "F22")
def test_a_browser_without_cookies_ends_on_a_page_that_names_them(
    app: Flask, emulator: Emulator
) -> None:
    browser = app.test_client(use_cookies=False)
    url, hops = "/guarded", 0
    while True:
        answer = browser.get(url, headers=NAVIGATE)
        hops += 1
        if answer.location is None:
            break
        assert hops <= 5
        url = answer.location
        if url.startswith(emulator.url):
            url = emulator.approve(url).removeprefix("http://localhost")
    assert url.startswith("/openrouter/callback")
    assert answer.status_code == 400
    assert "cookie" in answer.text
    assert exchanges(emulator) == 0


@pytest.mark.requirement("R49")
def test_forced_logins_destroy_nothing(visitor: Visitor, emulator: Emulator) -> None:
    visitor.connect(emulator)
    key = visitor.key
    genuine = login(visitor, "/genuine", **{"Sec-Fetch-Site": "same-origin"}).location
    for _ in range(50):
        login(visitor, long_next(), **CROSS_SITE)
    assert visitor.key == key
    assert visitor.get(emulator.approve(genuine)).location == "/genuine"


@pytest.mark.requirement("R49")
def test_forced_logins_of_a_sibling_site_destroy_nothing(
    visitor: Visitor, emulator: Emulator
) -> None:
    """A page on another subdomain is no friend (RFC 6265bis §8.8.2: same site, other origin)."""
    genuine = login(visitor, "/genuine", **{"Sec-Fetch-Site": "same-origin"}).location
    for _ in range(50):
        login(visitor, long_next(), **{"Sec-Fetch-Site": "same-site"})
    assert visitor.get(emulator.approve(genuine)).location == "/genuine"


@pytest.mark.requirement("R49")
@pytest.mark.parametrize("size", [1_500, 2_500, 3_200, 3_500])
@pytest.mark.parametrize("page", ["/genuine", None])
def test_not_even_where_the_session_is_nearly_full(
    make_app: Any, emulator: Emulator, size: int, page: str | None
) -> None:
    visitor = Visitor(app_with_session(make_app, size))
    visitor.get("/fill")
    genuine = login(visitor, page).location
    for _ in range(20):
        login(visitor, long_next(), **CROSS_SITE)
    assert visitor.get(emulator.approve(genuine)).location == (page or "/")


@pytest.mark.requirement("R49")
def test_not_even_where_all_places_are_taken(visitor: Visitor, emulator: Emulator) -> None:
    genuine = [login(visitor, f"/{number}").location for number in range(8)]
    login(visitor, **CROSS_SITE)
    assert visitor.get(emulator.approve(genuine[0])).location == "/0"


@pytest.mark.requirement("R49")
def test_a_visitor_who_follows_a_link_from_elsewhere_can_log_in(
    visitor: Visitor, emulator: Emulator
) -> None:
    login(visitor, "/abandoned")
    for _ in range(10):
        linked = login(visitor, "/linked", **CROSS_SITE).location
    assert visitor.get(emulator.approve(linked)).location == "/linked"
