"""States that have been used: each can be claimed once."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

from flask_openrouter.login.parked import SpentStates


def test_a_state_is_claimed_once_while_it_is_valid() -> None:
    spent = SpentStates(600)
    assert spent.claim("a", 1_000)
    assert not spent.claim("a", 1_000)
    assert not spent.claim("a", 1_599)
    assert spent.claim("b", 1_599)
    assert spent.claim("a", 1_600), "too old to be accepted anywhere, so it need not be kept"
    assert not spent.claim("b", 1_600)


def test_one_of_many_claims_at_once_wins() -> None:
    spent = SpentStates(600)
    for number in range(50):
        with ThreadPoolExecutor(8) as pool:
            claims = pool.map(lambda _, n=number: spent.claim(f"state {n}", 0.0), range(16))
        assert sum(claims) == 1


def test_the_number_of_states_is_bounded() -> None:
    spent = SpentStates(600, most=3)
    for state in "abcd":
        assert spent.claim(state, 0)
    assert [spent.claim(state, 0) for state in "dcb"] == [False, False, False]
    assert spent.claim("a", 0), "the oldest had to go"


def test_after_the_clock_was_set_back_the_newest_claims_are_remembered() -> None:
    spent = SpentStates(600, most=4)
    times = (("early", 1_000), ("a", 0), ("b", 50), ("a", 600), ("c", 601), ("d", 602), ("e", 603))
    for state, now in times:
        assert spent.claim(state, now)
    assert [spent.is_spent(state, 603) for state in "abcde"] == [True, False, True, True, True]
