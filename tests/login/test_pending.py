"""Logins in the session: how each is written and read, how many there are, and which is dropped."""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from typing import Any

import pytest
from flask import Flask, session
from hypothesis import given, settings
from hypothesis import strategies as st
from visitor import NAVIGATE

from flask_openrouter import OpenRouterAuth
from flask_openrouter.errors import StateMismatchError
from flask_openrouter.login.pending import PendingLogin
from flask_openrouter.services import Services

STATE, VERIFIER, BINDING = "A" * 22, "B" * 43, "C" * 8


GENUINE = f"{STATE}{VERIFIER}{1_800_000_000:08x}{BINDING}xp/chat"


json_values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text()
    | st.text(st.characters())
    | st.binary(),
    lambda inner: st.lists(inner, max_size=8) | st.dictionaries(st.text(), inner, max_size=8),
    max_leaves=20,
)


#: Texts that are nearly genuine: the hard cases.
near_misses = st.tuples(
    *(
        st.one_of(st.just(part), st.text(max_size=len(part) + 1), st.text("0Af_-", max_size=50))
        for part in (STATE, VERIFIER, "6b49d200", BINDING, "x", "p", "/chat")
    )
).map("".join)


@pytest.fixture
def services(make_app: Any) -> Iterator[Services]:
    """The services of an app, within a request."""
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


def test_a_genuine_entry_is_read() -> None:
    assert PendingLogin.from_session(GENUINE) == PendingLogin(
        state=STATE,
        code_verifier=VERIFIER,
        issued_at=1_800_000_000,
        binding=BINDING,
        next_url="/chat",
        is_cross_site=True,
        is_popup=True,
    )


@given(
    st.integers(0, 2**32 - 1), st.booleans(), st.booleans(), st.none() | st.text().map("/".__add__)
)
@settings(deadline=None)
def test_every_login_is_read_as_it_was_written(
    issued_at: int, is_cross_site: bool, is_popup: bool, next_url: str | None
) -> None:
    request = PendingLogin(
        state=STATE,
        code_verifier=VERIFIER,
        issued_at=issued_at,
        binding=BINDING,
        next_url=next_url,
        is_cross_site=is_cross_site,
        is_popup=is_popup,
    )
    assert PendingLogin.from_session(request.to_session()) == request


@settings(deadline=None)
@given(st.one_of(json_values, near_misses))
def test_any_content_of_the_session_is_a_well_formed_entry_or_ignored(value: Any) -> None:
    request = PendingLogin.from_session(value)
    if request is None:
        return
    assert request.to_session() == value
    assert (len(request.state), len(request.code_verifier), len(request.binding)) == (22, 43, 8)
    assert (request.state + request.code_verifier + request.binding).isascii()
    assert request.next_url is None or request.next_url.startswith("/")


def app_with_fixed_clock() -> Flask:
    app = Flask("host")
    app.config.update(
        TESTING=True, SECRET_KEY=secrets.token_hex(), OPENROUTER_BASE_URL="http://127.0.0.1:9"
    )
    OpenRouterAuth(app, clock=lambda: 1_800_000_000)
    return app


_app = app_with_fixed_clock()


@given(st.lists(st.one_of(json_values, near_misses), max_size=4))
@settings(max_examples=60, deadline=None)
def test_login_and_callback_work_with_any_content_of_the_session(values: Any) -> None:
    client = _app.test_client()
    with client.session_transaction() as kept:
        kept["_openrouter"] = values
    url = f"/openrouter/callback?state={STATE}&code=x"
    # A forged record has another binding, so it is refused at the latest as somebody else's.
    assert client.get(url, headers=NAVIGATE).status_code == 400
    assert client.get("/openrouter/login", headers=NAVIGATE).status_code == 303


def test_no_secret_is_in_the_repr() -> None:
    shown = repr(PendingLogin.from_session(GENUINE))
    assert STATE not in shown
    assert VERIFIER not in shown


def test_the_oldest_login_that_another_site_began_is_dropped_first(services: Services) -> None:
    own = [start(services) for _ in range(4)]
    foreign = [start(services, is_cross_site=True) for _ in range(4)]
    newest = start(services)
    assert [waits(services, login) for login in foreign] == [False, True, True, True]
    assert all(waits(services, login) for login in [*own, newest])


def test_expired_logins_are_dropped_before_others_are_counted(
    services: Services, clock: Any
) -> None:
    for _ in range(8):
        start(services, is_cross_site=True)
    clock.now += services.settings.login_max_age + 1
    logins = [start(services) for _ in range(8)]
    assert all(waits(services, login) for login in logins)
    assert len(session["_openrouter"]) == 8


def test_each_login_is_found_as_it_was_started(services: Services) -> None:
    one = start(services, next_url="/a", is_popup=True)
    other = start(services, next_url="/b", is_cross_site=True)
    assert services.pending_logins.find(one.state) == one
    assert services.pending_logins.find(other.state) == other
    assert (one.is_popup, one.is_cross_site, one.next_url) == (True, False, "/a")
    assert (other.is_popup, other.is_cross_site, other.next_url) == (False, True, "/b")


def test_taking_a_login_leaves_the_others(services: Services) -> None:
    logins = [start(services) for _ in range(3)]
    services.pending_logins.take(logins[1])
    assert [waits(services, login) for login in logins] == [True, False, True]


def test_taking_the_last_login_empties_the_session(services: Services) -> None:
    login = start(services)
    assert list(session) == ["_openrouter"]
    services.pending_logins.take(login)
    assert list(session) == []


def test_in_a_full_session_the_address_of_the_new_login_is_dropped(services: Services) -> None:
    """A login that does not lead back to its page is better than none."""
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


def test_other_values_in_the_session_are_no_logins(services: Services) -> None:
    login = start(services)
    kept = session["_openrouter"]
    for value in (None, 7, 1.5, True, b"x", [], ["x"], {}, {"x": 1}):
        session["_openrouter"] = [value, *kept, value]
        assert waits(services, login), value


def test_a_login_belongs_to_the_user_who_started_it(services: Services) -> None:
    user = ["alice"]
    services.app_functions.owner_loader = lambda: user[0]
    login = start(services)
    for user[0], is_theirs in (("bob", False), ("alice", True), ("Alice", False)):
        assert waits(services, login) is is_theirs
