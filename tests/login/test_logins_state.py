"""A callback counts only with a state that this browser was given, once, and in time.

(RFC 6749 §10.12; RFC 9700 §2.1 and §4.7; OWASP ASVS 5.0, 10.1.2 and 10.2.1.)
"""

from __future__ import annotations

import random
import re
from collections.abc import Callable
from typing import Any

import pytest
from attack import (
    assert_refused,
    browser_with,
    exchanges,
    parameter,
    pending,
    save_jar,
    state_of,
    states,
)
from cases import case
from flask import Flask
from misbehaving import MisbehavingProvider, issue_key
from visitor import NAVIGATE, Visitor

from flask_openrouter.emulator import Emulator

UNRESERVED_22 = re.compile(r"[A-Za-z0-9_-]{22}")


UNRESERVED_43 = re.compile(r"[A-Za-z0-9_-]{43}")


@pytest.mark.requirement("R1")
def test_only_the_browser_that_started_the_login_can_finish_it(
    app: Flask, visitor: Visitor, emulator: Emulator
) -> None:
    callback = emulator.approve(visitor.start("/there"))

    stranger = Visitor(app)
    assert_refused(stranger, emulator, callback)

    landed = visitor.get(callback)
    assert (landed.status_code, landed.location) == (303, "/there")
    assert visitor.key is not None
    assert stranger.key is None
    assert exchanges(emulator) == 1


@pytest.mark.requirement("R2")
def test_the_attackers_signed_state_is_worthless_in_the_victims_browser(
    stored_apps: Any, emulator: Emulator
) -> None:
    app = stored_apps()
    attacker, victim = Visitor(app), Visitor(app)
    planted = emulator.approve(attacker.start())
    own = emulator.approve(victim.start("/own"))

    assert_refused(victim, emulator, planted)
    assert_refused(Visitor(app), emulator, planted)

    assert victim.get(own).location == "/own"
    assert victim.key is not None
    assert attacker.key is None


def _flip_a_bit(state: str) -> str:
    # Still a letter that a state may have.
    return ("B" if state[0] == "A" else "A") + state[1:]


#: How to change a callback address ``url`` whose state is ``s``; ``other``: a foreign state.
FORGERIES: dict[str, Callable[[str, str, str], str]] = {
    "missing": lambda url, s, other: url.replace(f"state={s}", "x=1"),
    "empty": lambda url, s, other: url.replace(s, ""),
    "bare": lambda url, s, other: url.replace(f"state={s}", "state"),
    "truncated": lambda url, s, other: url.replace(s, s[:-1]),
    "extended": lambda url, s, other: url.replace(s, s + "A"),
    "newline": lambda url, s, other: url.replace(s, s + "%0A"),
    "NUL": lambda url, s, other: url.replace(s, s + "%00"),
    "blank": lambda url, s, other: url.replace(s, "%20" + s),
    "padded": lambda url, s, other: url.replace(s, s + "="),
    "case": lambda url, s, other: url.replace(s, s.swapcase()),
    "one bit": lambda url, s, other: url.replace(s, _flip_a_bit(s)),
    "of another browser": lambda url, s, other: url.replace(s, other),
    "not ASCII": lambda url, s, other: url.replace(s, "é" * 43),
    "twice": lambda url, s, other: url + f"&state={s}",
    "two": lambda url, s, other: url + f"&state={other}",
    "and an empty one": lambda url, s, other: url + "&state=",
    "list": lambda url, s, other: url.replace("state=", "state[]="),
    "other name": lambda url, s, other: url.replace("state=", "State="),
}


@pytest.mark.requirement("R3")
def test_a_state_that_is_not_exactly_that_of_the_login_is_refused(
    app: Flask, emulator: Emulator
) -> None:
    """The genuine login still waits afterwards."""
    other = state_of(Visitor(app).start())
    for number, (name, forge) in enumerate(FORGERIES.items(), 1):
        visitor = Visitor(app)
        callback = emulator.approve(visitor.start())
        forged = forge(callback, state_of(callback), other)
        with case(name):
            assert forged != callback
            assert_refused(visitor, emulator, forged)
            assert visitor.get(callback).status_code == 303
            assert exchanges(emulator) == number


@pytest.mark.requirement("R3")
def test_each_state_belongs_to_one_code_verifier(visitor: Visitor, emulator: Emulator) -> None:
    """With the state of another login of this browser, the code is sent with the wrong verifier."""
    first, second = visitor.start(), visitor.start()
    code = parameter(emulator.approve(first), "code")
    answer = visitor.get(visitor.callback_url(second, code=code))
    assert answer.status_code == 400
    assert visitor.key is None


@pytest.mark.requirement("R4")
def test_a_code_that_openrouter_refuses_spends_the_state(
    visitor: Visitor, emulator: Emulator
) -> None:
    callback = emulator.approve(visitor.start())
    bad = callback.replace(parameter(callback, "code"), "no-such-code")

    assert visitor.get(bad).status_code == 400
    assert exchanges(emulator) == 1

    assert_refused(visitor, emulator, callback)
    assert visitor.key is None


@pytest.mark.requirement("R4")
def test_a_restored_cookie_jar_causes_no_second_exchange(
    app: Flask, visitor: Visitor, emulator: Emulator
) -> None:
    callback = emulator.approve(visitor.start())
    jar = save_jar(visitor)
    visitor.get(callback)
    key = visitor.key

    restored = browser_with(app, jar)
    waiting = state_of(callback)
    assert_refused(restored, emulator, callback, spends=waiting)

    assert exchanges(emulator) == 1
    assert restored.key is None
    assert visitor.key == key is not None


@pytest.mark.requirement("R4")
def test_in_another_process_a_restored_jar_meets_openrouters_refusal(
    make_app: Any, emulator: Emulator
) -> None:
    """A signed cookie cannot know what another worker saw: the code is single-use upstream."""
    secret = "one key for both of the workers"
    one, two = make_app(SECRET_KEY=secret), make_app(SECRET_KEY=secret)
    visitor = Visitor(one)
    visitor.connect(emulator)
    old_key = visitor.key
    callback = emulator.approve(visitor.start())
    jar = save_jar(visitor)
    assert visitor.get(callback).status_code == 303

    restored = browser_with(two, jar)
    assert restored.get(callback).status_code == 400

    assert exchanges(emulator) == 3
    assert restored.key == old_key != visitor.key
    assert_refused(restored, emulator, callback)


@pytest.mark.requirement("R11", "F31")
def test_several_tabs_finish_in_any_order(make_app: Any) -> None:
    """A double click on the button starts two logins, too."""
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


@pytest.mark.requirement("R5")
def test_states_and_challenges_never_repeat_whatever_the_seed(
    app: Flask, every_variant: bool
) -> None:
    client = app.test_client(use_cookies=False)
    seen = set()
    generator_state = random.getstate()
    number = 2_000 if every_variant else 200
    for _ in range(number):
        random.seed(0)
        url = client.get("/openrouter/login", headers=NAVIGATE).location
        state, challenge = state_of(url), parameter(url, "code_challenge")
        assert UNRESERVED_22.fullmatch(state), "128 bits"
        assert UNRESERVED_43.fullmatch(challenge)
        seen |= {state, challenge}
    random.setstate(generator_state)
    assert len(seen) == 2 * number


@pytest.mark.requirement("R5")
def test_no_part_of_the_code_verifier_is_ever_in_an_address(make_app: Any) -> None:
    verifiers = set()
    with MisbehavingProvider([issue_key("sk-or-v1-" + "0" * 64)]) as provider:
        visitor = Visitor(make_app(OPENROUTER_BASE_URL=provider.url))
        for number in range(1, 9):
            authorization_url = visitor.start()
            callback = visitor.callback_url(authorization_url, code="a-code")
            landed = visitor.get(callback)
            assert len(provider.exchanges) == number, "each login exchanges its own code"
            verifier = provider.exchanges[-1].json["code_verifier"]
            assert re.fullmatch(r"[A-Za-z0-9._~-]{43,128}", verifier)
            assert verifier != state_of(callback)
            verifiers.add(verifier)
            parts = {verifier[i : i + 12] for i in range(len(verifier) - 11)}
            for address in (authorization_url, callback, landed.location):
                assert not any(part in address for part in parts)
    assert len(verifiers) == 8


@pytest.mark.requirement("R6")
def test_a_login_may_take_ten_minutes(visitor: Visitor, emulator: Emulator, clock: Any) -> None:
    callback = emulator.approve(visitor.start())
    clock.now += 599
    assert visitor.get(callback).status_code == 303


@pytest.mark.requirement("R6")
def test_a_finished_login_can_be_reloaded_for_ten_minutes_from_its_end(
    visitor: Visitor, emulator: Emulator, clock: Any
) -> None:
    callback = emulator.approve(visitor.start("/there"))
    for _ in range(2):
        clock.now += 590
        assert visitor.get(callback).location == "/there"
    clock.now += 11
    assert "took too long" in visitor.get(callback).text
    assert exchanges(emulator) == 1


@pytest.mark.requirement("R6")
def test_a_login_that_took_longer_is_refused_whatever_the_address_contains(
    visitor: Visitor, emulator: Emulator, clock: Any
) -> None:
    callback = emulator.approve(visitor.start())
    clock.now += 601
    for addition in ("", "&issued_at=9999999999", "&max_age=86400", "&iat=0&exp=9e9"):
        with case(addition):
            answer = assert_refused(visitor, emulator, callback + addition)
            assert "took too long" in answer.text
            assert "try again" in answer.text.lower()


@pytest.mark.requirement("R6")
def test_a_login_of_the_future_is_refused_unless_the_clocks_differ_by_a_minute_at_most(
    visitor: Visitor, emulator: Emulator, clock: Any
) -> None:
    callback = emulator.approve(visitor.start())
    clock.now -= 61
    assert_refused(visitor, emulator, callback)
    clock.now += 1
    assert visitor.get(callback).status_code == 303


@pytest.mark.requirement("R6")
def test_the_configured_time_limit_applies(make_app: Any, emulator: Emulator, clock: Any) -> None:
    visitor = Visitor(make_app(OPENROUTER_LOGIN_MAX_AGE=30))
    callback = emulator.approve(visitor.start())
    clock.now += 31
    assert_refused(visitor, emulator, callback)


@pytest.mark.requirement("F45")
def test_a_clock_that_jumps_leaves_no_login_that_never_expires(
    visitor: Visitor, emulator: Emulator, clock: Any
) -> None:
    callback = emulator.approve(visitor.start())
    clock.now -= 3_600
    assert_refused(visitor, emulator, callback)
    new = emulator.approve(visitor.start())
    assert states(visitor) == [state_of(new)], "the login of the future is gone for good"
    clock.now += 86_400
    assert_refused(visitor, emulator, new)


@pytest.mark.requirement("R13", "F22")
def test_a_browser_without_cookies_ends_on_a_page_that_mentions_cookies(
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
