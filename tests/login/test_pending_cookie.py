"""Logins that wait: a bounded session cookie, and logins that other sites force on a visitor."""

from __future__ import annotations

import logging
import secrets
from typing import Any
from urllib.parse import urlencode

import pytest
from attack import set_cookies, state_of, states
from cases import case
from flask import Flask, session
from hypothesis import given, settings
from hypothesis import strategies as st
from visitor import NAVIGATE, Visitor
from werkzeug.test import TestResponse

from flask_openrouter import OpenRouterAuth
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


#: What apps keep in their sessions, and how badly it can be compressed.
host_data = st.dictionaries(
    st.text(max_size=20),
    st.one_of(
        st.text(max_size=400),
        st.text(st.characters(min_codepoint=0x80, max_codepoint=0x2FFF), max_size=300),
        st.binary(max_size=400),
        st.integers(0, 400).map(secrets.token_urlsafe),
        st.integers(0, 400).map(lambda n: secrets.token_bytes(n).hex()),
        st.lists(st.booleans(), max_size=100),
        st.lists(st.just(()), max_size=100),
        st.uuids(),
        st.datetimes(),
        st.text('"\\', max_size=300),
    ),
    max_size=8,
)


@pytest.mark.requirement("R12")
def test_many_logins_stay_within_one_cookie(visitor: Visitor, emulator: Emulator) -> None:
    for _ in range(200):
        next_url = long_next()
        newest = login(visitor, next_url)
    landed = visitor.get(emulator.approve(newest.location))
    assert (landed.status_code, landed.location) == (303, next_url)


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


@pytest.mark.requirement("R12")
def test_a_login_fits_into_the_session_that_an_app_fills(make_app: Any, emulator: Emulator) -> None:
    """Werkzeug warns of cookies that are too big, and here every warning is an error."""
    for name in ("session", "a-much-longer-name-for-the-session-cookie"):
        for size in (2_000, 2_600, 3_000, 3_400, 3_500):
            cookie = {"SESSION_COOKIE_NAME": name, "SESSION_COOKIE_DOMAIN": "localhost"}
            visitor = Visitor(app_with_session(make_app, size, **cookie))
            visitor.get("/fill")
            with case(name, size):
                for _ in range(20):
                    newest = login(visitor, long_next())
                assert visitor.get(emulator.approve(newest.location)).status_code == 303
                assert visitor.key is not None


@pytest.mark.requirement("R12")
def test_finished_logins_take_no_space_that_a_new_one_needs(
    make_app: Any, emulator: Emulator
) -> None:
    for size in (2_900, 3_000, 3_100, 3_200, 3_300, 3_400, 3_500, 3_600):
        visitor = Visitor(app_with_session(make_app, size))
        visitor.get("/fill")
        for _ in range(4):
            with case(size):
                newest = login(visitor, "/" + secrets.token_urlsafe(150)[:199])
                landed = visitor.get(emulator.approve(newest.location))
                assert landed.status_code == 303
                assert cookie_size(landed) <= MAX_COOKIE


@pytest.mark.requirement("R12")
def test_a_login_never_makes_the_cookie_too_big(make_app: Any) -> None:
    """For any session and cookie settings. Werkzeug's warning is an error here."""
    letters = "".join(map(chr, [*range(0x28, 0x5C), *range(0x5D, 0x7F)]))
    cookies: list[dict[str, str]] = [
        {},
        {"SESSION_COOKIE_NAME": "n" * 200},
        {"SESSION_COOKIE_DOMAIN": f"{'d' * 60}.{'e' * 60}.example"},
        {"SESSION_COOKIE_PATH": "/" + "p" * 200},
    ]
    for cookie in cookies:
        app: Flask = make_app(**cookie)
        for size in range(2_700, 3_400 - sum(map(len, cookie.values())), 20):
            with case(cookie, size):
                with app.test_request_context():
                    session["of the app"] = "".join(secrets.choice(letters) for _ in range(size))
                    app.extensions["openrouter"].pending_logins.start(
                        next_url="/" + secrets.token_urlsafe(200), is_cross_site=False
                    )
                    answer = app.process_response(app.make_response("x"))
                assert "of the app" in session_of(app, answer)


def session_of(app: Flask, answer: Any) -> Any:
    value = answer.headers["Set-Cookie"].partition(";")[0].partition("=")[2]
    interface: Any = app.session_interface
    return interface.get_signing_serializer(app).loads(value)


_filled = Flask("filled")
_filled.config.update(
    TESTING=True, SECRET_KEY=secrets.token_hex(), OPENROUTER_BASE_URL="http://127.0.0.1:9"
)
OpenRouterAuth(_filled)


@_filled.get("/fill")
def _fill() -> str:
    session.update(_filled.config["CONTENT"])
    interface: Any = _filled.session_interface
    return str(len(interface.get_signing_serializer(_filled).dumps(dict(session))))


@given(host_data, st.integers(0, 900))
@settings(max_examples=150, deadline=None)
def test_the_cookie_stays_within_bounds_whatever_the_app_stores(
    data: Any, next_length: int
) -> None:
    """The quick estimate of its size must never be too low: Werkzeug's warning is an error here."""
    _filled.config["CONTENT"] = data
    client = _filled.test_client()
    if len(data) and int(client.get("/fill").text) > 3_600:
        return
    for _ in range(6):
        page = f"/openrouter/login?next=/{secrets.token_urlsafe(next_length)[:next_length]}"
        answer = client.get(page, headers=NAVIGATE)
        assert answer.status_code == 303
        for name, (value, _) in set_cookies(answer).items():
            assert len(name) + len(value) <= 4_093


@pytest.mark.requirement("R12")
def test_a_session_that_is_too_big_by_itself_is_logged(
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
    """An app may replace Flask's sessions. Then no cookie limits their size."""
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
def test_forced_logins_destroy_nothing_in_a_nearly_full_session(
    make_app: Any, emulator: Emulator
) -> None:
    for size in (1_500, 2_500, 3_200, 3_500):
        for page in ("/genuine", None):
            visitor = Visitor(app_with_session(make_app, size))
            visitor.get("/fill")
            with case(size, page):
                genuine = login(visitor, page).location
                for _ in range(20):
                    login(visitor, long_next(), **CROSS_SITE)
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
