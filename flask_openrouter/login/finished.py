"""The logins that this process finishes or has finished: their codes are sent once.

A callback may come twice: from a service worker, by a double click, or again because its response
was lost. Other workers do not know of these logins, and a restart forgets them. OpenRouter's own
check is behind this one: it takes each code once.
"""

from __future__ import annotations

import hmac
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Final

from ..client.credentials import hash_of_key
from ..errors import StateMismatchError
from .pending import digest

#: Callbacks of one login that may wait for its end, each in a thread of the server.
MAX_WAITING: Final = 2


@dataclass(frozen=True)
class Ending:
    """The end of one login."""

    #: The code of the problem that the visitor saw, or None if the key was stored.
    problem: str | None
    #: The owner of the key, if it was stored.
    owner_id: str = ""
    #: What stands for the key, if this process has stored it.
    key_mark: str | None = None
    #: The ``Set-Cookie`` lines of the response, by name. Empty for those who did not wait.
    cookies: Mapping[str, str] = field(default_factory=dict, repr=False)


class Exchange:
    """One login that this process finishes. The callback that begins it calls :meth:`end`."""

    def __init__(self, code_digest: str, expires_at: float) -> None:
        self.code_digest = code_digest
        #: Unix time in seconds.
        self.expires_at = expires_at
        self._ending: Ending | None = None
        self._waiting = 0
        self._is_over = threading.Condition()

    def end(self, ending: Ending) -> None:
        """Tell the callbacks that wait. The cookies are forgotten with the last of them."""
        with self._is_over:
            self._ending = ending if self._waiting else replace(ending, cookies={})
            self._is_over.notify_all()

    def wait(self, seconds: float) -> Ending | None:
        """Return the ending; None if it takes longer than that, or enough callbacks wait."""
        with self._is_over:
            if self._ending is None and self._waiting < MAX_WAITING:
                self._waiting += 1
                self._is_over.wait_for(lambda: self._ending is not None, seconds)
                self._waiting -= 1
                if (ending := self._ending) is not None and not self._waiting:
                    self._ending = replace(ending, cookies={})
                return ending
            return self._ending


class FinishedLogins:
    """The logins of this process that were finished lately. One per app.

    Stores some hundred bytes for each, for ``max_age`` seconds and ``most`` of them. ``clock``:
    returns Unix time in seconds.
    """

    def __init__(self, *, max_age: int, clock: Callable[[], float], most: int = 100_000) -> None:
        self._max_age = max_age
        self._clock = clock
        self._most = most
        self._exchanges: dict[str, Exchange] = {}
        self._lock = threading.Lock()

    def begin(self, state_digest: str, code_digest: str) -> tuple[Exchange, bool]:
        """Return the exchange of this login, and whether this callback is the one that makes it.

        The digests are those of :class:`Callback`. Raises :class:`StateMismatchError` when the
        login was finished with another code.
        """
        now = self._clock()
        with self._lock:
            exchange = self._exchanges.get(state_digest)
            if exchange is not None and exchange.expires_at > now:
                if hmac.compare_digest(exchange.code_digest, code_digest):
                    return exchange, False
                raise StateMismatchError("This login has been finished.", reason="unknown")
            self._exchanges.pop(state_digest, None)
            while self._exchanges:
                oldest = next(iter(self._exchanges))
                is_old = self._exchanges[oldest].expires_at <= now
                if not is_old and len(self._exchanges) < self._most:
                    break
                del self._exchanges[oldest]
            exchange = self._exchanges[state_digest] = Exchange(code_digest, now + self._max_age)
            return exchange, True


def mark_of_key(owner_id: str, api_key: str) -> str:
    """Return what stands for the key of this owner, in 16 characters."""
    return digest(f"{owner_id} {hash_of_key(api_key)}")
