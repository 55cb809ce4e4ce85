"""The keys whose spending has just changed in a way that older figures do not show."""

from __future__ import annotations

import threading
from itertools import count
from typing import Final

from ..errors import OutOfCreditError


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
            self._latest.pop(key_hash, None)
            if len(self._latest) >= self._most:
                del self._latest[next(iter(self._latest))]
            self._latest[key_hash] = next(self._numbers)

    def latest(self, key_hash: str) -> int:
        """Return the number of the latest news of this key, or 0. No number comes twice."""
        return self._latest.get(key_hash, 0)


#: Of the whole process: a key is the same in all apps, and any client may learn the news.
NEWS: Final = SpendingNews()


def note_error_of(response: object, error: Exception) -> None:
    """Note an error that was read in the body of a session's response.

    Its reader does not know the key. Other responses know none either.
    """
    note = getattr(response, "_note_spending", None)
    if note is not None and isinstance(error, OutOfCreditError):
        note()
