"""A key that the storage refused waits, encrypted, in the visitor's own browser.

The key exists at OpenRouter and its code is spent. Without this it would be lost, and the visitor
would have to approve another one. It waits for ten minutes and one click, without a new consent.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from ..client.credentials import Unpicklable
from ..storage.cipher import KeyCipher, bound_to
from ..storage.cookie import BROWSER
from ..storage.record import KeyRecord
from ..web import ExtensionCookie
from .logins import mark_of_key
from .owner import Owners

#: Seconds that a key waits.
MAX_AGE: Final = 600
#: The end of the name of its cookie. No namespace has a tilde, so no app's key has this name.
COOKIE_SUFFIX: Final = "~unsaved"


@dataclass(frozen=True, slots=True)
class ParkedKey(Unpicklable):
    """A record that waits, and the owner it is to be stored for."""

    owner_id: str
    record: KeyRecord


class ParkedKeys:
    """The keys that wait in browsers to be saved. One per app; the state is in the cookies.

    ``spent``: the keys that this process has seen saved or given up. ``clock``: returns Unix time
    in seconds.
    """

    def __init__(
        self,
        owners: Owners,
        cookie: ExtensionCookie,
        cipher: KeyCipher,
        spent: SpentStates,
        *,
        base_url: str,
        clock: Callable[[], float],
    ) -> None:
        self._owners = owners
        self._cookie = cookie
        self._cipher = cipher
        self._spent = spent
        self._base_url = base_url
        self._clock = clock

    def park(self, parked: ParkedKey) -> None:
        """Put the record into this browser's cookie, for its owner only."""
        # No owner id holds a NUL.
        plaintext = parked.owner_id.encode() + b"\0" + parked.record.to_bytes()
        user_id = None if parked.owner_id.startswith(BROWSER) else parked.owner_id
        self._cookie.write(self._cipher.encrypt(plaintext, self._context(user_id)))

    def find(self) -> ParkedKey | None:
        """Return what waits in this browser for this user, or None."""
        parked = self._open(self._owners.app_user())
        if parked is None or self._spent.is_spent(_mark(parked), self._clock()):
            return None
        return parked

    def is_announced(self) -> bool:
        """Return whether this browser has a cookie of a parked key, readable or not."""
        return self._cookie.read() is not None

    def waiting(self, owner_id: str | None) -> ParkedKey | None:
        """Return what waits for this owner or their browser, given up or not, or None."""
        is_browser = owner_id is None or owner_id.startswith(BROWSER)
        return self._open(None if is_browser else owner_id)

    def clear(self, owner_id: str | None) -> None:
        """Give up what waits, if anything does, and delete its cookie.

        A cookie can be copied, and put back after a disconnect, so each process remembers what it
        has seen. ``owner_id``: the owner of this request; the app is not asked again.
        """
        if not self.is_announced():
            return
        # Not for a cookie that does not open: strangers could fill the memory with such.
        if (parked := self.waiting(owner_id)) is not None:
            self._spent.claim(_mark(parked), self._clock())
        self._cookie.write("")

    def _open(self, user_id: str | None) -> ParkedKey | None:
        plaintext = self._cipher.decrypt(self._cookie.read() or "", self._context(user_id))
        owner_id, _, data = (plaintext or b"").partition(b"\0")
        record = KeyRecord.from_bytes(data)
        if record is None or self._clock() - record.connected_at > MAX_AGE:
            return None
        return ParkedKey(owner_id.decode(), record)

    def _context(self, user_id: str | None) -> bytes:
        return bound_to("unsaved", self._base_url, "" if user_id is None else user_id)


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


def _mark(parked: ParkedKey) -> str:
    # Of the key, not of the cookie: each time a key is parked, its ciphertext is another.
    return mark_of_key(parked.owner_id, parked.record.api_key)
