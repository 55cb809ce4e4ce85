"""What a key has spent and what is left, for pages: asked of OpenRouter now and then."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from ..client.spending import NEWS
from ..errors import KeyRejectedError, OpenRouterError
from ..languages import _
from ..pages.language import current_language

if TYPE_CHECKING:
    from ..client.models import KeyInfo
    from ..connection import Connection

logger: Final = logging.getLogger("flask_openrouter")

#: Seconds that an answer is good for.
FRESH_SECONDS: Final = 300.0
#: Seconds before OpenRouter is asked again after it gave no answer.
RETRY_SECONDS: Final = 30.0
#: Seconds that a page waits for OpenRouter, tries again included.
PATIENCE_SECONDS: Final = 2.0

#: By the time after which OpenRouter resets a limit.
_LEFT: Final = {
    "daily": _("%(amount)s left today"),
    "weekly": _("%(amount)s left this week"),
    "monthly": _("%(amount)s left this month"),
}


@dataclass(frozen=True, slots=True)
class Usage:
    """What a page shows of a key. Amounts in USD.

    ``message`` and ``amount``: of the text. ``limit`` and ``left``: for a meter; None when there
    is nothing to measure against.
    """

    message: str
    amount: float
    limit: float | None = None
    left: float | None = None

    @classmethod
    def from_key_info(cls, info: KeyInfo) -> Usage | None:
        """Return what can be shown of OpenRouter's answer; None if it names no amount."""
        if info.limit is not None and info.limit_remaining is not None:
            left = max(info.limit_remaining, 0.0)
            message = _LEFT.get(info.limit_reset or "", _("%(amount)s left"))
            return cls(message, left, *((info.limit, left) if info.limit > 0 else ()))
        return None if info.usage is None else cls(_("%(amount)s spent"), info.usage)

    @property
    def text(self) -> str:
        """The text, such as ``$17.50 left this month``, in the visitor's language.

        For a key without a limit, it is such as ``$3.20 spent``.
        """
        language = current_language()
        is_tiny = 0 < self.amount < 0.01
        amount = language.dollars(0.01 if is_tiny else self.amount)
        if is_tiny:
            amount = language.gettext("less than %(amount)s") % {"amount": amount}
        return language.gettext(self.message) % {"amount": amount}


class UsageCache:
    """The latest answers, by the SHA-256 of the key. Bounded; thread-safe; holds no key.

    ``most``: the number of answers kept.
    """

    def __init__(self, most: int = 10_000) -> None:
        self._most = most
        self._entries: dict[str, tuple[float, Usage | None]] = {}
        self._lock = threading.Lock()

    def get(self, key_hash: str, now: float) -> tuple[bool, Usage | None]:
        """Return whether OpenRouter need not be asked at ``now``, and what it answered."""
        with self._lock:
            asked_at, usage = self._entries.get(key_hash, (now, None))
            seconds = RETRY_SECONDS if usage is None else FRESH_SECONDS
            # Before asked_at: the clock was set back.
            is_fresh = key_hash in self._entries and asked_at <= now < asked_at + seconds
            return is_fresh, usage if is_fresh else None

    def put(self, key_hash: str, now: float, usage: Usage | None) -> None:
        """Keep an answer, or None for none, and let go of the oldest one if need be."""
        with self._lock:
            self._entries.pop(key_hash, None)
            if len(self._entries) >= self._most:
                del self._entries[next(iter(self._entries))]
            self._entries[key_hash] = now, usage


class UsageReader:
    """Reads the usage of connections, for one app. ``clock`` returns Unix time in seconds."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._cache = UsageCache()

    def read(self, connection: Connection) -> Usage | None:
        """Return the usage of this key, at most minutes old, or None when it is not known.

        OpenRouter is asked at once after it refused a call because credit or a limit is spent.
        Raises :class:`KeyRejectedError` for a rejected key, which is set aside.
        """
        try:
            return self._read(connection) if connection else None
        except KeyRejectedError:
            raise
        except OpenRouterError as error:
            logger.info("The usage of a key could not be shown (%s).", type(error).__name__)
            return None

    def _read(self, connection: Connection) -> Usage | None:
        key_hash = connection.key_hash
        # Made before OpenRouter is asked: news from meanwhile make the answer old.
        entry = _entry_of(key_hash)
        now = self._clock()
        is_known, usage = self._cache.get(entry, now)
        if is_known:
            return usage
        try:
            info = connection.key_info(timeout=PATIENCE_SECONDS)
        except KeyRejectedError:
            raise
        except OpenRouterError:
            # Made again, because this error may be news itself.
            self._cache.put(_entry_of(key_hash), now, None)
            raise
        usage = Usage.from_key_info(info)
        self._cache.put(entry, now, usage)
        return usage


def _entry_of(key_hash: str) -> str:
    """Return the name of the cache's entry for this key, which changes with its news."""
    return f"{key_hash} {NEWS.latest(key_hash)}"
