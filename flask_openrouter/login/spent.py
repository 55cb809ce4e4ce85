"""Parked keys that have been used: each can be claimed once."""

from __future__ import annotations

import threading


class SpentStates:
    """Remembers the digests of what has been used, so that this process never uses it twice.

    Needed because a browser can put a signed cookie back. Stores 16 characters for each, for
    ``max_age`` seconds and ``most`` of them. Other workers do not share them, and a restart loses
    them.
    """

    def __init__(self, max_age: int, *, most: int = 100_000) -> None:
        self._max_age = max_age
        self._most = most
        self._expiries: dict[str, float] = {}
        self._lock = threading.Lock()

    def is_spent(self, digest: str, now: float) -> bool:
        """Return whether it was claimed already. ``now``: Unix time in seconds."""
        return self._expiries.get(digest, now) > now

    def claim(self, digest: str, now: float) -> bool:
        """Return whether this is the first claim. ``now``: Unix time in seconds."""
        with self._lock:
            if self._expiries.get(digest, now) > now:
                return False
            self._expiries.pop(digest, None)
            while self._expiries:
                oldest = next(iter(self._expiries))
                if self._expiries[oldest] > now and len(self._expiries) < self._most:
                    break
                del self._expiries[oldest]
            self._expiries[digest] = now + self._max_age
            return True
