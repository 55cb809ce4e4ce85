"""How many logins wait in one browser, for how long, and which one gives way."""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from typing import Any

import pytest
from flask import Flask, session

from flask_openrouter.errors import StateMismatchError
from flask_openrouter.login.pending import PendingLogin
from flask_openrouter.services import Services


@pytest.fixture
def services(make_app: Any) -> Iterator[Services]:
    """Those of an app, within a request."""
    app: Flask = make_app()
    with app.test_request_context():
        yield app.extensions["openrouter"]


def start(services: Services, **options: Any) -> PendingLogin:
    return services.pending_logins.start(**{"next_url": None, "is_cross_site": False, **options})


def waits(services: Services, login: PendingLogin) -> bool:
    try:
        return services.pending_logins.find(login.state).state == login.state
    except StateMismatchError:
        return False


def test_eight_logins_wait_at_once_and_the_ninth_ends_the_first(services: Services) -> None:
    logins = [start(services) for _ in range(8)]
    assert all(waits(services, login) for login in logins)
    ninth = start(services)
    assert [waits(services, login) for login in [*logins, ninth]] == [False, *[True] * 8]


def test_the_oldest_login_that_another_site_began_gives_way(services: Services) -> None:
    own = [start(services) for _ in range(4)]
    foreign = [start(services, is_cross_site=True) for _ in range(4)]
    newest = start(services)
    assert [waits(services, login) for login in foreign] == [False, True, True, True]
    assert all(waits(services, login) for login in [*own, newest])


def test_what_is_too_old_goes_before_anything_is_counted(services: Services, clock: Any) -> None:
    for _ in range(8):
        start(services, is_cross_site=True)
    clock.now += services.settings.login_max_age + 1
    logins = [start(services) for _ in range(8)]
    assert all(waits(services, login) for login in logins)
    assert len(session["_openrouter"]) == 8


def test_clocks_may_disagree_by_a_minute(services: Services, clock: Any) -> None:
    login = start(services)
    clock.now -= 60
    assert waits(services, login)
    clock.now -= 1
    assert not waits(services, login)


def test_each_login_is_found_as_it_was_begun(services: Services) -> None:
    one = start(services, next_url="/a", is_popup=True)
    other = start(services, next_url="/b", is_cross_site=True)
    assert services.pending_logins.find(one.state) == one
    assert services.pending_logins.find(other.state) == other
    assert (one.is_popup, one.is_cross_site, one.next_url) == (True, False, "/a")
    assert (other.is_popup, other.is_cross_site, other.next_url) == (False, True, "/b")


def test_only_the_login_that_is_taken_goes(services: Services) -> None:
    logins = [start(services) for _ in range(3)]
    services.pending_logins.take(logins[1])
    assert [waits(services, login) for login in logins] == [True, False, True]


def test_the_last_login_leaves_nothing_behind(services: Services) -> None:
    login = start(services)
    assert list(session) == ["_openrouter"]
    services.pending_logins.take(login)
    assert list(session) == []


def test_where_there_is_no_room_the_address_goes_first(services: Services) -> None:
    """A login without a place to go to is better than none."""
    session["of the app"] = secrets.token_urlsafe(2_500)
    waiting = start(services, is_cross_site=True, next_url="/" + secrets.token_urlsafe(60))
    wanted = start(services, next_url="/" + secrets.token_urlsafe(700)[:900])
    assert not waits(services, waiting)
    assert services.pending_logins.find(wanted.state).next_url is None


def test_a_short_session_keeps_every_address(services: Services) -> None:
    logins = [start(services, next_url=f"/{number}") for number in range(8)]
    assert [services.pending_logins.find(login.state).next_url for login in logins] == [
        f"/{number}" for number in range(8)
    ]


@pytest.mark.parametrize("user_id", ["None", "nobody", "user", "0", "browser"])
def test_nobody_has_no_name_that_a_user_could_have(services: Services, user_id: str) -> None:
    """Else that user could finish the login of a visitor who is not signed in."""
    user: list[str | None] = [None]
    services.app_functions.owner_loader = lambda: user[0]
    login = start(services)
    user[0] = user_id
    assert not waits(services, login)


@pytest.mark.parametrize("value", [None, 7, 1.5, True, b"x", [], ["x"], {}, {"x": 1}])
def test_what_is_no_text_in_the_session_is_no_login(services: Services, value: Any) -> None:
    login = start(services)
    session["_openrouter"] = [value, *session["_openrouter"], value]
    assert waits(services, login)


def test_a_login_belongs_to_the_user_who_began_it(services: Services) -> None:
    user = ["alice"]
    services.app_functions.owner_loader = lambda: user[0]
    login = start(services)
    for user[0], is_theirs in (("bob", False), ("alice", True), ("Alice", False)):
        assert waits(services, login) is is_theirs


@pytest.mark.parametrize(
    "cookie",
    [
        {},
        {"SESSION_COOKIE_NAME": "n" * 200},
        {"SESSION_COOKIE_DOMAIN": f"{'d' * 60}.{'e' * 60}.example"},
        {"SESSION_COOKIE_PATH": "/" + "p" * 200},
    ],
    ids=["plain", "long name", "long domain", "long path"],
)
def test_a_login_never_makes_the_cookie_too_big(make_app: Any, cookie: dict[str, str]) -> None:
    """Whatever is in the session and around it; Werkzeug warns of more, which is an error here."""
    app: Flask = make_app(**cookie)
    letters = "".join(map(chr, [*range(0x28, 0x5C), *range(0x5D, 0x7F)]))
    most = 3_400 - sum(map(len, cookie.values()))
    for size in range(2_700, most, 20):
        with app.test_request_context():
            session["of the app"] = "".join(secrets.choice(letters) for _ in range(size))
            services = app.extensions["openrouter"]
            start(services, next_url="/" + secrets.token_urlsafe(200))
            answer = app.process_response(app.make_response("x"))
        assert "of the app" in session_of(app, answer), "it is there"


def session_of(app: Flask, answer: Any) -> Any:
    value = answer.headers["Set-Cookie"].partition(";")[0].partition("=")[2]
    interface: Any = app.session_interface
    return interface.get_signing_serializer(app).loads(value)
