"""What OpenRouter is asked about a rejected key, and how often."""

from __future__ import annotations

import threading
from typing import Any

import pytest

from flask_openrouter.errors import KeyRejectedError, ServerError, TransportTimeoutError
from flask_openrouter.login.rejected import RejectedKeys, unconfirmed
from flask_openrouter.storage.record import KeyRecord

KEY = "sk-or-v1-" + 64 * "0"
OTHER = "sk-or-v1-" + 64 * "1"


class Provider:
    """An OpenRouter that answers ``GET /key``; it can be held back."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.timeouts: list[float] = []
        self.error: Exception | None = None
        self.may_answer = threading.Event()
        self.may_answer.set()
        self.was_asked = threading.Event()

    def get_key_info(self, api_key: str, *, timeout: float, retries: int) -> None:
        assert 0 < timeout <= 5
        assert retries == 0
        self.asked.append(api_key)
        self.timeouts.append(timeout)
        self.was_asked.set()
        assert self.may_answer.wait(60)
        if self.error is not None:
            raise self.error


@pytest.fixture
def provider() -> Provider:
    return Provider()


@pytest.fixture
def rejected_keys(provider: Provider, clock: Any) -> RejectedKeys:
    return RejectedKeys(provider, clock=clock, most=2)  # type: ignore[arg-type]


def test_only_a_second_401_confirms_a_rejection(provider: Provider, clock: Any) -> None:
    for error, is_confirmed in (
        (None, False),
        (ServerError(500), False),
        (TransportTimeoutError("slow"), False),
        (KeyRejectedError(), True),
    ):
        provider.error = error
        keys = RejectedKeys(provider, clock=clock)  # type: ignore[arg-type]
        assert keys.confirm(KEY, 60) is is_confirmed, error
        assert keys.is_accepted(KEY) is (error is None), error


def test_a_key_is_asked_about_once_a_minute(
    provider: Provider, rejected_keys: RejectedKeys, clock: Any
) -> None:
    def confirm(key: str) -> bool:
        return rejected_keys.confirm(key, 60)

    provider.error = KeyRejectedError()
    assert confirm(KEY)
    provider.error = None
    clock.now += 59
    assert confirm(KEY)
    assert not confirm(OTHER)
    clock.now += 1
    assert not confirm(KEY)
    # A clock that was set back does not make an old answer a new one.
    clock.now -= 3600
    provider.error = KeyRejectedError()
    assert confirm(KEY)
    assert provider.asked == [KEY, OTHER, KEY, KEY]


def test_no_answer_is_awaited_for_longer_than_the_caller_has(
    provider: Provider, rejected_keys: RejectedKeys
) -> None:
    assert not rejected_keys.confirm(KEY, 0)
    assert not rejected_keys.confirm(KEY, -1)
    assert provider.asked == []
    provider.error = KeyRejectedError()
    assert rejected_keys.confirm(KEY, 0.5)
    assert provider.timeouts[0] <= 0.5


def test_different_keys_do_not_wait_for_each_other(
    provider: Provider, rejected_keys: RejectedKeys
) -> None:
    provider.may_answer.clear()
    threads = [threading.Thread(target=rejected_keys.confirm, args=(k, 60)) for k in (KEY, OTHER)]
    for thread in threads:
        provider.was_asked.clear()
        thread.start()
        assert provider.was_asked.wait(60)
    provider.may_answer.set()
    for thread in threads:
        thread.join()


def test_requests_with_the_same_key_share_an_answer(
    provider: Provider, rejected_keys: RejectedKeys
) -> None:
    provider.error = KeyRejectedError()
    provider.may_answer.clear()
    answers: list[bool] = []

    def confirm() -> None:
        answers.append(rejected_keys.confirm(KEY, 60))

    threads = [threading.Thread(target=confirm) for _ in range(8)]
    for thread in threads:
        thread.start()
    assert provider.was_asked.wait(60)
    # Another caller has no time left to wait for the answer.
    assert not rejected_keys.confirm(KEY, 0.01)
    provider.may_answer.set()
    for thread in threads:
        thread.join()
    assert answers == [True] * 8
    assert provider.asked == [KEY]


def test_logins_ask_one_after_the_other(provider: Provider, rejected_keys: RejectedKeys) -> None:
    """And each for two seconds at most."""
    provider.may_answer.clear()
    first = threading.Thread(target=rejected_keys.is_accepted, args=(KEY,))
    first.start()
    assert provider.was_asked.wait(60)
    assert not rejected_keys.is_accepted(OTHER)
    provider.may_answer.set()
    first.join()
    assert provider.asked == [KEY]
    assert rejected_keys.is_accepted(OTHER)
    assert max(provider.timeouts) <= 2


def test_an_accepted_key_is_not_set_aside_any_more(rejected_keys: RejectedKeys) -> None:
    rejected_keys.postpone(KEY)
    assert rejected_keys.is_postponed(KEY)
    assert not rejected_keys.is_postponed(OTHER)
    assert rejected_keys.is_accepted(KEY)
    assert not rejected_keys.is_postponed(KEY)


def test_a_key_is_set_aside_once(rejected_keys: RejectedKeys) -> None:
    rejected_keys.postpone(KEY)
    rejected_keys.settle(KEY)
    rejected_keys.settle(OTHER)
    assert not rejected_keys.is_postponed(KEY)


def test_the_wait_for_other_questions_counts_towards_the_time_limit(
    provider: Provider, rejected_keys: RejectedKeys
) -> None:
    rejected_keys.confirm(KEY, 4)
    assert provider.timeouts[0] < 4


def test_the_memory_is_bounded(provider: Provider, rejected_keys: RejectedKeys) -> None:
    for number in (1, 2, 3):
        rejected_keys.postpone(f"{number}")
    assert [rejected_keys.is_postponed(f"{number}") for number in (1, 2, 3)] == [False, True, True]


def test_a_replacement_is_new_for_ten_minutes(rejected_keys: RejectedKeys, clock: Any) -> None:
    now = int(clock.now)
    for age, follows_rejected, is_replacement in (
        (0, True, True),
        (600, True, True),
        (601, True, False),
        (0, False, False),
    ):
        record = KeyRecord(KEY, None, now - age, now, follows_rejected)
        assert rejected_keys.is_replacement(record) is is_replacement, (age, follows_rejected)


def test_an_unconfirmed_rejection_keeps_what_openrouter_sent() -> None:
    error = unconfirmed(KeyRejectedError(401, "User not found.", request_id="gen-1"))
    assert (error.status, error.upstream_message, error.request_id) == (
        401,
        "User not found.",
        "gen-1",
    )
    assert (error.reason, error.is_retryable) == ("unconfirmed", True)
