"""Which cookies of logins stay, and which are dropped: too long, too many, too old."""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest
from flask import Flask
from visitor import Visitor

from flask_openrouter.emulator import Emulator
from flask_openrouter.errors import StateMismatchError
from flask_openrouter.login.callback import Callback
from flask_openrouter.login.cookies import MAX_LOGIN_SIZE
from flask_openrouter.login.logins import Login, part_of
from flask_openrouter.services import Services


@pytest.fixture
def services(make_app: Any) -> Iterator[Services]:
    """The services of an app, within a request."""
    app: Flask = make_app()
    with app.test_request_context():
        yield app.extensions["openrouter"]


def start(services: Services, **options: Any) -> str:
    options = {"next_url": None, "is_cross_site": False, **options}
    return services.pending_logins.start(**options).state


def waits(services: Services, state: str) -> bool:
    try:
        login = services.pending_logins.find(Callback(state, None))
        services.pending_logins.check_age(login)
        return login.is_open
    except StateMismatchError:
        return False


@pytest.mark.requirement("R12")
def test_a_login_has_at_most_700_bytes(services: Services) -> None:
    """A longer address is dropped, and a shorter one is not, whatever happens to the login."""
    kept = []
    random = secrets.token_urlsafe(1_000)
    for length in range(370, 1_000, 7):
        next_url = "/" + random[: length - 1]
        state = start(services, next_url=next_url, is_popup=True)
        login = services.pending_logins.find(Callback(state, None))
        kept.append(login.next_url == next_url)
        assert login.next_url in (next_url, None)
        services.pending_logins.repeat(login)
        assert services.pending_logins.find(Callback(state, None)).next_url == login.next_url
        value = services.login_cookies._cookie.read(part_of(state)) or ""
        assert len("__Host-openrouter" + part_of(state) + value) <= MAX_LOGIN_SIZE
    assert kept == sorted(kept, reverse=True)
    assert kept[0] is True
    assert kept[-1] is False


@pytest.mark.requirement("R12")
def test_the_oldest_logins_are_dropped_until_all_cookies_have_less_than_2000_bytes(
    app: Flask, clock: Any
) -> None:
    """With the cookie of the key, whatever its value is. The newest login stays in any case."""
    random = secrets.token_urlsafe(400)

    def sizes_after_trim(key_size: int, lengths: list[int]) -> dict[str, int]:
        cookie = f"openrouter={'k' * key_size}"
        with app.test_request_context(headers={"Cookie": cookie}):
            services: Services = app.extensions["openrouter"]
            for length in lengths:
                clock.now += 1
                start(services, next_url="/" + random[: length - 1])
            services.login_cookies.trim()
            cookies = services.login_cookies._cookie.read_all()
            return {part: len(f"__Host-openrouter{part}={v}; ") for part, v in cookies.items()}

    three = sizes_after_trim(1, [300] * 3)
    rest = 2_000 - sum(three.values())
    assert len(three) == len(sizes_after_trim(rest, [300] * 3)) == 4  # 1,999 bytes
    # 2,000 bytes. Without the first, there are few enough.
    assert [*sizes_after_trim(rest + 1, [300] * 3).values()][1:] == [*three.values()][2:]
    assert [*sizes_after_trim(2_500, [304, 300]).values()][1:] == [*three.values()][3:]


@pytest.mark.requirement("R31")
def test_an_address_that_can_be_compressed_may_have_1024_characters(
    visitor: Visitor, emulator: Emulator
) -> None:
    next_url = "/a?" + "filter=something&" * 60
    callback = emulator.approve(visitor.start(next_url))
    assert len(next_url) == 1_023
    assert visitor.get(callback).location == next_url
    assert visitor.get(callback).location == next_url


def test_the_cookie_of_a_login_is_small(app: Flask) -> None:
    """Not only its value: servers limit the whole head."""
    answer = Visitor(app, "https://localhost").get("/openrouter/login?next=/")
    assert max(len(line) for line in answer.headers.getlist("Set-Cookie")) <= 200


def test_the_oldest_login_that_another_site_began_is_dropped_first(services: Services) -> None:
    own = [start(services) for _ in range(4)]
    foreign = [start(services, is_cross_site=True) for _ in range(4)]
    newest = start(services)
    services.login_cookies.trim()
    assert [waits(services, login) for login in foreign] == [False, True, True, True]
    assert all(waits(services, login) for login in [*own, newest])


def test_logins_that_are_over_are_dropped_before_open_ones(app: Flask, clock: Any) -> None:
    """But not one that this response ends, which the page of a popup and a reload need."""
    cookies = app.extensions["openrouter"].login_cookies
    every = [
        Login(
            part_of(name * 22), "C" * 16, "B" * 43, int(clock.now) + age, None, False, False, False
        )
        for age, name in enumerate("ABCDEFGHI")
    ]
    ends, new = every[0], every[-1]
    with app.test_request_context():
        for number, login in enumerate(every[:-1]):
            cookies.write(login if number < 4 else replace(login, code_verifier=None))
        jar = "; ".join(f"openrouter{part}={v}" for part, v in cookies._cookie.read_all().items())
    with app.test_request_context(headers={"Cookie": jar}):
        cookies.write(replace(ends, code_verifier=None))
        cookies.write(new)
        cookies.trim()
        left = {login.part for login in cookies.all()}
    assert [login.part in left for login in every] == [True] * 4 + [False] + [True] * 4


def test_stale_logins_are_dropped_when_one_starts(services: Services, clock: Any) -> None:
    """Those that are too old, and those from too far in the future."""
    old = [start(services) for _ in range(3)]
    clock.now += 10_000
    future = start(services)
    clock.now -= 10_000 - services.settings.login_max_age - 1
    newest = start(services)
    cookies = services.login_cookies._cookie.read_all()
    assert list(cookies) == [part_of(newest)]
    assert not any(waits(services, login) for login in [*old, future])


def test_each_login_is_found_as_it_was_started(services: Services) -> None:
    one = start(services, next_url="/a", is_popup=True)
    other = start(services, next_url="/b", is_cross_site=True)
    found = [services.pending_logins.find(Callback(state, None)) for state in (one, other)]
    assert [login.next_url for login in found] == ["/a", "/b"]
    assert [login.is_popup for login in found] == [True, False]
    assert [login.is_cross_site for login in found] == [False, True]
