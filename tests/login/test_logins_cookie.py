"""Logins that wait: bounded cookies, and logins that other sites force on a visitor."""

from __future__ import annotations

import secrets
from typing import Any
from urllib.parse import urlencode

import pytest
from attack import load_jar, save_jar, set_cookies, state_of, states
from cases import case
from flask import Flask, session
from visitor import Visitor
from werkzeug.test import TestResponse

from flask_openrouter import current_openrouter
from flask_openrouter.emulator import Emulator

#: Name and value of a cookie that every browser takes (RFC 6265 §6.1), in bytes.
MAX_COOKIE = 4_093


CROSS_SITE = {"Sec-Fetch-Site": "cross-site"}


def cookie_size(answer: TestResponse) -> int:
    return max(
        (len(name) + len(value) for name, (value, _) in set_cookies(answer).items()), default=0
    )


def login(visitor: Visitor, next_url: str | None = None, **headers: str) -> TestResponse:
    """Start a login, and check that a browser accepts the cookie."""
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


def our_cookies(visitor: Visitor) -> int:
    """Return how long our cookies are in the next request, in bytes."""
    jar = {name: value for name, value in save_jar(visitor).items() if "openrouter" in name}
    return len("; ".join(map("=".join, jar.items())))


def fill_with_logins(visitor: Visitor) -> str:
    """Start logins as long as the cookies may become; return where the last one leads."""
    for _ in range(5):
        newest = visitor.start("/" + "x" * 100)
    while (free := 1_999 - our_cookies(visitor)) > 200:
        newest = visitor.start("/" + secrets.token_urlsafe(max(0, free - 300)))
    return newest


@pytest.mark.requirement("R12", "W11")
def test_many_logins_stay_below_3000_bytes(app: Flask, emulator: Emulator) -> None:
    """Of a connected visitor, too, at each time, on http and on https."""
    for base_url in ("http://localhost", "https://localhost"):
        visitor = Visitor(app, base_url)
        visitor.connect(emulator)
        for number in range(200):
            length = number * 5
            next_url = "/" + secrets.token_urlsafe(length)[:length]
            newest = login(visitor, next_url)
            assert our_cookies(visitor) < 2_000
        landed = visitor.get(emulator.approve(newest.location))
        # An address of 995 characters is dropped.
        assert (landed.status_code, landed.location) == (303, "/")
        assert visitor.key is not None


@pytest.mark.requirement("W11")
def test_each_response_of_ours_trims_what_parallel_logins_left(
    app: Flask, emulator: Emulator
) -> None:
    """Eight tabs start at once with long addresses: no response knows the cookies of another."""
    for path, status in (
        ("/openrouter/status", 200),
        ("/guarded", 303),
        ("/openrouter/login", 303),
        ("/openrouter/callback?state=x&code=x", 400),
        ("/openrouter/disconnected", 200),
    ):
        visitor = Visitor(app)
        newest = ""
        for number in range(8):
            tab = Visitor(app)
            newest = tab.start(f"/{number}/" + "x" * 395)
            load_jar(visitor, {**save_jar(visitor), **save_jar(tab)})
        assert our_cookies(visitor) > 4_000
        with case(path):
            assert visitor.get(path).status_code == status
            assert our_cookies(visitor) < 2_000
            if path != "/openrouter/login":
                assert visitor.get(emulator.approve(newest)).location == "/7/" + "x" * 395


@pytest.mark.requirement("W11")
def test_the_whole_head_of_each_request_and_response_fits_into_4_kib(
    app: Flask, emulator: Emulator
) -> None:
    """Buffers of nginx and uWSGI have 4 KiB by default."""
    visitor = Visitor(app, "https://localhost")
    visitor.connect(emulator)
    for number in range(12):
        answer = login(visitor, f"/{number}?" + "x" * 400)
        head = sum(len(name) + len(value) + 4 for name, value in answer.headers)
        assert head < 4_096
        assert our_cookies(visitor) < 2_000
    assert visitor.key is not None


@pytest.mark.requirement("W11")
def test_a_key_cookie_that_a_view_writes_trims_the_logins(app: Flask, emulator: Emulator) -> None:
    """No response of ours follows when a view handles the rejection itself."""

    @app.get("/handled")
    def handled() -> str:
        emulator.revoke(current_openrouter.api_key)
        return f"{current_openrouter.report_rejection()}"

    visitor = Visitor(app)
    visitor.connect(emulator)
    newest = fill_with_logins(visitor)
    assert visitor.get("/handled").text == "True"
    assert our_cookies(visitor) < 2_000
    assert visitor.get(emulator.approve(newest)).status_code == 303
    assert visitor.key is not None


@pytest.mark.requirement("R12")
def test_eight_logins_may_wait_and_the_oldest_is_dropped_first(
    visitor: Visitor, emulator: Emulator
) -> None:
    started = [login(visitor).location for _ in range(30)]
    kept = states(visitor)
    assert len(kept) == 8
    assert kept == [state_of(url) for url in started[-8:]]
    assert visitor.get(emulator.approve(started[0])).status_code == 400
    assert visitor.get(emulator.approve(started[-1])).status_code == 303


@pytest.mark.requirement("R12", "R28")
def test_a_full_session_of_the_app_loses_no_login(make_app: Any, emulator: Emulator) -> None:
    """Werkzeug warns of cookies that are too big, and here every warning is an error."""
    for size in (2_000, 3_500):
        visitor = Visitor(app_with_session(make_app, size))
        visitor.get("/fill")
        before = visitor.client.get_cookie("session")
        with case(size):
            for _ in range(20):
                newest = login(visitor, "/there")
            assert visitor.get(emulator.approve(newest.location)).location == "/there"
            assert visitor.key is not None
            assert visitor.client.get_cookie("session") == before


@pytest.mark.requirement("R12")
def test_cookies_of_another_app_neither_go_nor_count(app: Flask, emulator: Emulator) -> None:
    visitor = Visitor(app)
    for number in range(10):
        visitor.client.set_cookie(f"openrouter.1234567{number}", "x" * 600)
    genuine = [login(visitor, f"/{number}").location for number in range(8)]
    assert len([name for name in save_jar(visitor) if "1234567" in name]) == 10
    for number, url in enumerate(genuine):
        assert visitor.get(emulator.approve(url)).location == f"/{number}"


@pytest.mark.requirement("R49")
def test_forced_logins_destroy_nothing(app: Flask, emulator: Emulator) -> None:
    """A sibling site is not trusted either (RFC 6265bis §8.8.2: same site, other origin)."""
    for site in ("cross-site", "same-site"):
        visitor = Visitor(app)
        visitor.connect(emulator)
        key = visitor.key
        genuine = login(visitor, "/genuine", **{"Sec-Fetch-Site": "same-origin"}).location
        for _ in range(50):
            login(visitor, long_next(), **{"Sec-Fetch-Site": site})
        assert visitor.key == key, site
        assert visitor.get(emulator.approve(genuine)).location == "/genuine", site
        assert visitor.key not in (None, key), site


@pytest.mark.requirement("R49")
def test_forced_logins_with_long_addresses_destroy_nothing(app: Flask, emulator: Emulator) -> None:
    for page in ("/genuine?" + "x" * 380, None):
        visitor = Visitor(app)
        genuine = login(visitor, page).location
        for _ in range(20):
            login(visitor, "/forced?" + "x" * 380, **CROSS_SITE)
            assert our_cookies(visitor) < 2_000
        assert visitor.get(emulator.approve(genuine)).location == (page or "/")


@pytest.mark.requirement("R49")
def test_a_forced_login_drops_none_of_eight_genuine_ones(
    visitor: Visitor, emulator: Emulator
) -> None:
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
