"""What keys have spent: the latest figures, and the news that make older figures out of date."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta, timezone
from itertools import count
from typing import TYPE_CHECKING, Final, TypeVar

from ..errors import KeyRejectedError, KeyStorageError, OpenRouterError, OutOfCreditError

if TYPE_CHECKING:
    from .models import KeyInfo

T = TypeVar("T")

logger: Final = logging.getLogger("flask_openrouter")

#: Seconds that an answer is good for.
FRESH_SECONDS: Final = 300.0
#: Seconds before OpenRouter is asked again after it gave no answer.
RETRY_SECONDS: Final = 30.0
#: Seconds that a page waits for OpenRouter, tries again included.
PATIENCE_SECONDS: Final = 2.0


class SpendingNews:
    """The latest news of each key, by the key's SHA-256. Bounded; thread-safe; holds no key.

    News: OpenRouter refuses a request because credit or a limit is spent, or a key is connected.
    ``most``: the number of keys that are remembered.
    """

    def __init__(self, most: int = 10_000) -> None:
        self._most = most
        self._numbers = count(1)
        self._latest: dict[str, int] = {}
        self._lock = threading.Lock()

    def note(self, key_hash: str) -> None:
        """Note that figures of this key from before now are out of date."""
        with self._lock:
            remember(self._latest, key_hash, next(self._numbers), self._most)

    def latest(self, key_hash: str) -> int:
        """Return the number of the latest news of this key, or 0. No number comes twice."""
        return self._latest.get(key_hash, 0)


#: Of the whole process: a key is the same in all apps, and any client may learn the news.
NEWS: Final = SpendingNews()


@dataclass(frozen=True, slots=True)
class Reading:
    """The latest figures of a key, as OpenRouter reported them at ``read_at``; None if never.

    Times are Unix times in seconds. ``has_failed``: whether OpenRouter gave no answer at
    ``asked_at``, so that the figures are older. ``news``: the number of the news before that.
    """

    asked_at: float
    news: int
    info: KeyInfo | None = None
    read_at: float | None = None
    has_failed: bool = False


class UsageCache:
    """The latest figures, by the SHA-256 of the key. Bounded; thread-safe; holds no key.

    ``clock``: returns Unix time in seconds. ``most``: the number of keys that are remembered.
    """

    def __init__(self, clock: Callable[[], float], most: int = 10_000) -> None:
        self._clock = clock
        self._most = most
        self._readings: dict[str, Reading] = {}
        #: Held while OpenRouter is asked about a key.
        self._asking: dict[str, threading.Lock] = {}
        self._lock = threading.Lock()

    def read(
        self, key_hash: str, ask: Callable[[], object], *, max_age: float = FRESH_SECONDS
    ) -> Reading:
        """Return figures of this key that are at most ``max_age`` seconds old, if there are any.

        ``ask``: asks OpenRouter and notes the answer here. It is called at once after OpenRouter
        has refused a request because credit or a limit is spent. Raises what it raises about the
        key itself: :class:`KeyRejectedError` and :class:`KeyStorageError`.
        """
        reading = self._readings.get(key_hash)
        if reading is None or not self._is_fresh(key_hash, reading, max_age):
            # The requests of a visitor, however many, share one answer.
            asking = self._asking.setdefault(key_hash, threading.Lock())
            if asking.acquire(timeout=PATIENCE_SECONDS):
                try:
                    self._refresh(key_hash, ask, max_age)
                finally:
                    self._asking.pop(key_hash, None)
                    asking.release()
            reading = self._readings.get(key_hash, Reading(self._clock(), 0, has_failed=True))
        return reading

    def _refresh(self, key_hash: str, ask: Callable[[], object], max_age: float) -> None:
        reading = self._readings.get(key_hash)
        if reading is not None and self._is_fresh(key_hash, reading, max_age):
            return  # Another request has asked meanwhile.
        try:
            ask()
        except (KeyRejectedError, KeyStorageError):
            raise
        except OpenRouterError as error:
            logger.info("The usage of a key could not be read (%s).", type(error).__name__)
            self.note(key_hash, NEWS.latest(key_hash), None)

    def note(self, key_hash: str, news: int, info: KeyInfo | None) -> None:
        """Keep OpenRouter's answer, or None for none, and let go of the oldest one if need be.

        ``news``: the number of the latest news before OpenRouter was asked. News from meanwhile
        make the answer old.
        """
        now = self._clock()
        with self._lock:
            if info is None:
                last = self._readings.get(key_hash) or Reading(now, news)
                reading = replace(last, asked_at=now, news=news, has_failed=True)
            else:
                reading = Reading(now, news, info, now)
            remember(self._readings, key_hash, reading, self._most)

    def _is_fresh(self, key_hash: str, reading: Reading, max_age: float) -> bool:
        seconds = RETRY_SECONDS if reading.has_failed else max_age
        is_latest = reading.news == NEWS.latest(key_hash)
        # Before asked_at: the clock was set back.
        return is_latest and reading.asked_at <= self._clock() < reading.asked_at + seconds


def next_reset(limit_reset: str | None, now: float) -> datetime | None:
    """Return when a limit is reset next, in UTC; None if it never is, or not known.

    Days, weeks and months begin at midnight UTC, and weeks on Monday (OpenRouter API reference,
    "Create a new API key", ``limit_reset``). ``now``: Unix time in seconds.
    """
    moment = datetime.fromtimestamp(now, timezone.utc)
    today = moment.replace(hour=0, minute=0, second=0, microsecond=0)
    if limit_reset == "daily":
        return today + timedelta(days=1)
    if limit_reset == "weekly":
        return today + timedelta(days=7 - today.weekday())
    if limit_reset == "monthly":
        return (today.replace(day=1) + timedelta(days=32)).replace(day=1)
    return None


def note_error_of(response: object, error: Exception) -> None:
    """Note an error that was read in the body of a session's response.

    Its reader does not know the key. Other responses know none either.
    """
    note = getattr(response, "_note_spending", None)
    if note is not None and isinstance(error, OutOfCreditError):
        note()


def remember(memory: dict[str, T], key: str, value: T, most: int) -> None:
    """Put an entry behind all others. Let go of the oldest one if there are ``most``."""
    memory.pop(key, None)
    if len(memory) >= most:
        del memory[next(iter(memory))]
    memory[key] = value
