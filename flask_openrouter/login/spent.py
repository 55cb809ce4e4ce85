"""States whose code has been sent: each is claimed once."""

from __future__ import annotations

import threading


class SpentStates:
    """Remembers which states have been used, so that this process never sends a code twice.

    Needed because a browser can put a signed cookie back. Stores 16 characters per login, for as
    long as a login may last; bounded.
    """

    def __init__(self, max_age: int, *, most: int = 100_000) -> None:
        self._max_age = max_age
        self._most = most
        self._expiries: dict[str, float] = {}
        self._lock = threading.Lock()

    def is_spent(self, state: str, now: float) -> bool:
        """Return whether it was claimed already. ``now``: Unix time in seconds."""
        return self._expiries.get(state, now) > now

    def claim(self, state: str, now: float) -> bool:
        """Return whether this is the first claim. ``now``: Unix time in seconds."""
        with self._lock:
            if self._expiries.get(state, now) > now:
                return False
            self._expiries.pop(state, None)
            while self._expiries:
                oldest = next(iter(self._expiries))
                if self._expiries[oldest] > now and len(self._expiries) < self._most:
                    break
                del self._expiries[oldest]
            self._expiries[state] = now + self._max_age
            return True
