"""What a process remembers of the logins that it has finished."""

from __future__ import annotations

import re
import tracemalloc
from concurrent.futures import ThreadPoolExecutor
from secrets import token_hex
from typing import Any

import pytest
from project_files import ROOT

from flask_openrouter.errors import StateMismatchError
from flask_openrouter.login.logins import Ending, FinishedLogins, digest

SCALE = ROOT / "docs" / "scale.md"


def test_a_login_is_begun_once_while_it_is_valid(clock: Any) -> None:
    logins = FinishedLogins(max_age=660, clock=clock)
    exchange, is_first = logins.begin("a state", "a code")
    assert is_first
    clock.now += 659
    assert logins.begin("a state", "a code") == (exchange, False)
    assert logins.begin("another", "a code")[1]
    with pytest.raises(StateMismatchError):
        logins.begin("a state", "another code")
    with pytest.raises(StateMismatchError):
        logins.begin("a state", "no code")
    clock.now += 1
    assert logins.begin("a state", "another code")[1], "too old to be accepted anywhere"
    assert not logins.begin("another", "a code")[1]


def test_one_of_many_at_once_is_the_first(clock: Any) -> None:
    logins = FinishedLogins(max_age=660, clock=clock)
    for number in range(50):
        with ThreadPoolExecutor(8) as pool:
            begun = pool.map(lambda _, n=number: logins.begin(f"state {n}", "a code"), range(16))
        assert sum(is_first for _, is_first in begun) == 1


def test_the_number_of_logins_is_bounded(clock: Any) -> None:
    logins = FinishedLogins(max_age=660, clock=clock, most=3)
    for state in "abcd":
        assert logins.begin(state, "a code")[1]
    assert [logins.begin(state, "a code")[1] for state in "dcb"] == [False, False, False]
    assert logins.begin("a", "a code")[1], "the oldest had to go"


def test_after_the_clock_was_set_back_the_newest_logins_are_remembered(clock: Any) -> None:
    logins, start = FinishedLogins(max_age=600, clock=clock, most=4), clock.now
    times = (("early", 1_000), ("a", 0), ("b", 50), ("a", 600), ("c", 601), ("d", 602), ("e", 603))
    for state, now in times:
        clock.now = start + now
        assert logins.begin(state, "a code")[1]
    assert [logins.begin(state, "a code")[1] for state in "acde"] == [False] * 4


def test_old_logins_are_forgotten(clock: Any) -> None:
    logins = FinishedLogins(max_age=660, clock=clock)
    for state in "abc":
        logins.begin(state, "a code")
        clock.now += 300
    logins.begin("d", "a code")
    assert len(logins._exchanges) == 3


def test_an_ending_has_cookies_for_those_who_wait_only(clock: Any) -> None:
    exchange, _ = FinishedLogins(max_age=660, clock=clock).begin("a state", "a code")
    exchange.end(Ending(None, "browser:x", "mark", {"a": "a=b"}))
    ending = exchange.wait(0)
    assert ending == Ending(None, "browser:x", "mark")
    assert "a=b" not in repr(Ending(None, cookies={"a": "a=b"}))


def test_a_finished_login_costs_what_the_page_on_scale_says(clock: Any) -> None:
    logins = FinishedLogins(max_age=660, clock=clock)
    tracemalloc.start()
    try:
        for _ in range(5_000):
            exchange, _ = logins.begin(digest(token_hex()), digest(token_hex()))
            owner_id = f"browser:{token_hex(11)}"
            mark = digest(owner_id)
            exchange.end(Ending(None, owner_id, mark, {"a": "b" * 600}))
        size = tracemalloc.get_traced_memory()[0] / 5_000
    finally:
        tracemalloc.stop()
    row = re.search(r"end of a login .* (\d+) bytes for ten minutes", SCALE.read_text("utf-8"))
    assert row is not None
    assert 0.7 < size / int(row[1]) < 1.1


def test_nobody_waits_for_ever(clock: Any) -> None:
    exchange, _ = FinishedLogins(max_age=660, clock=clock).begin("a state", "a code")
    assert exchange.wait(0.01) is None  # time: the end of waiting is what is tested
    assert exchange._waiting == 0
