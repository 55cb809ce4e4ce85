"""What keys have spent: the news, the latest figures, and when a limit is reset."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timezone
from threading import Event
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flask_openrouter.client import KeyInfo
from flask_openrouter.client.spending import (
    FRESH_SECONDS,
    RETRY_SECONDS,
    Reading,
    SpendingNews,
    UsageCache,
    next_reset,
)
from flask_openrouter.errors import KeyRejectedError, KeyStorageError, ServerError


def test_the_news_are_bounded_and_no_number_comes_twice() -> None:
    news = SpendingNews(most=2)
    assert news.latest("a") == 0
    seen = set()
    for key_hash in "aabcab":
        news.note(key_hash)
        seen.add(news.latest(key_hash))
    assert len(seen) == 6
    assert [news.latest(key_hash) for key_hash in "abc"].count(0) == 1


def moment(*values: int) -> datetime:
    return datetime(*values, tzinfo=timezone.utc)


def test_limits_are_reset_at_midnight_utc_and_weeks_on_monday() -> None:
    cases: tuple[tuple[str | None, datetime, datetime | None], ...] = (
        ("daily", moment(2026, 12, 31, 23, 59), moment(2027, 1, 1)),
        ("daily", moment(2026, 11, 29), moment(2026, 11, 30)),
        ("weekly", moment(2026, 11, 29, 12), moment(2026, 11, 30)),
        ("weekly", moment(2026, 11, 30), moment(2026, 12, 7)),
        ("monthly", moment(2026, 1, 31), moment(2026, 2, 1)),
        ("monthly", moment(2026, 12, 1), moment(2027, 1, 1)),
        (None, moment(2026, 12, 1), None),
        ("hourly", moment(2026, 12, 1), None),
    )
    for limit_reset, now, expected in cases:
        assert next_reset(limit_reset, now.timestamp()) == expected, (limit_reset, now)


class Clock:
    now = 1000.0

    def __call__(self) -> float:
        return self.now


@given(st.lists(st.tuples(st.integers(0, 9), st.integers(0, 400), st.booleans())))
def test_the_cache_is_bounded_and_never_mixes_keys_up(
    steps: list[tuple[int, int, bool]],
) -> None:
    clock = Clock()
    cache = UsageCache(clock, most=3)
    latest: dict[str, tuple[float, bool]] = {}
    for number, seconds, works in steps:
        clock.now += seconds
        key_hash, asked = f"key {number}", []

        def ask(key_hash: str = key_hash, works: bool = works, asked: list[int] = asked) -> None:
            asked.append(1)
            if not works:
                raise ServerError(500)
            cache.note(key_hash, 0, KeyInfo(label=f"{key_hash} at {clock.now}"))

        reading = cache.read(key_hash, ask)
        if asked:
            latest[key_hash] = clock.now, works
        asked_at, worked = latest[key_hash]
        assert clock.now < asked_at + (FRESH_SECONDS if worked else RETRY_SECONDS)
        assert reading.has_failed is not worked
        if reading.info is not None:
            assert reading.info.label == f"{key_hash} at {reading.read_at}"
        assert reading.info is not None or not worked
        assert len(cache._readings) <= 3


def test_after_a_failure_the_last_figures_are_known_with_their_time() -> None:
    clock = Clock()
    cache = UsageCache(clock)
    cache.note("key", 0, KeyInfo(limit=5.0))
    clock.now += FRESH_SECONDS

    def fail() -> None:
        raise ServerError(500)

    for _ in range(2):
        reading = cache.read("key", fail)
        assert reading.has_failed
        assert (reading.info, reading.read_at) == (KeyInfo(limit=5.0), 1000.0)
        clock.now += RETRY_SECONDS


def test_requests_of_the_same_key_share_one_question() -> None:
    cache, asked, is_answered = UsageCache(Clock()), [], Event()

    def ask() -> None:
        asked.append(1)
        assert is_answered.wait(60)
        cache.note("key", 0, KeyInfo(limit=5.0))

    with ThreadPoolExecutor(4) as pool:
        readings = [pool.submit(cache.read, "key", ask) for _ in range(4)]
        # Another key is asked about meanwhile.
        cache.read("other", lambda: cache.note("other", 0, KeyInfo(limit=7.0)))
        is_answered.set()
    assert {each.result().info for each in readings} == {KeyInfo(limit=5.0)}
    assert len(asked) == 1
    assert cache._asking == {}


def test_a_page_waits_no_longer_for_the_question_of_another_than_for_its_own(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("flask_openrouter.client.spending.PATIENCE_SECONDS", 0.01)
    cache = UsageCache(Clock())
    readings: list[Reading] = []
    cache.read("key", lambda: readings.append(cache.read("key", lambda: None)))
    assert [(each.info, each.has_failed) for each in readings] == [(None, True)]


@pytest.mark.parametrize("kind", [KeyRejectedError, KeyStorageError])
def test_errors_about_the_key_itself_are_raised(kind: type[Exception]) -> None:
    cache = UsageCache(Clock())

    def fail() -> None:
        raise kind

    for _ in range(2):
        with pytest.raises(kind):
            cache.read("key", fail)


def test_figures_that_others_have_pushed_out_at_once_count_as_none() -> None:
    cache = UsageCache(Clock())
    reading = cache.read("key", lambda: None)
    assert (reading.info, reading.has_failed) == (None, True)


def test_many_threads_may_use_the_cache() -> None:
    cache = UsageCache(Clock(), most=2)

    def work(number: int) -> None:
        for step in range(500):
            key_hash: Any = str((number + step) % 5)
            cache.read(key_hash, lambda key_hash=key_hash: cache.note(key_hash, 0, KeyInfo()))

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(work, range(4)))
    assert len(cache._readings) == 2
