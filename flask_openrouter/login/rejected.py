"""Keys that OpenRouter rejects: confirmed first, then set aside, and given back if it was wrong.

A single 401 proves nothing: the provider of a model can cause one, and OpenRouter has answered 401
to valid keys for half an hour. So no live key is deleted because of one.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from time import monotonic
from typing import Final

from ..client import OpenRouterClient
from ..client.credentials import hash_of_key
from ..client.spending import remember
from ..errors import APIError, KeyRejectedError, OpenRouterError
from ..storage.record import KeyRecord

#: Seconds for which the outcome of a confirmation counts.
CONFIRMED_SECONDS: Final = 60.0
#: Seconds that a confirmation may take, if the caller has as many left.
CONFIRM_TIMEOUT: Final = 5.0
#: Seconds that a login may wait for OpenRouter's word on a key that was set aside.
ACCEPTED_TIMEOUT: Final = 2.0
#: Seconds from its connection in which the rejection of a key does not lead to another login, if
#: the key replaced one that was rejected as well.
REPLACEMENT_SECONDS: Final = 600
#: The least that a question may take: a call needs some time.
_SHORTEST_SECONDS: Final = 0.001
_LOCKS: Final = 64


class RejectedKeys:
    """Asks OpenRouter about keys it has rejected. One per app; thread-safe.

    It remembers hashes of keys only. ``clock``: returns Unix time in seconds. ``most``: the number
    of keys that are remembered.
    """

    def __init__(
        self, client: OpenRouterClient, *, clock: Callable[[], float], most: int = 10_000
    ) -> None:
        self._client = client
        self._clock = clock
        self._most = most
        # By key hash, so that requests with the same key share one confirmation.
        self._locks = [threading.Lock() for _ in range(_LOCKS)]
        self._one_at_a_time = threading.Lock()
        self._memory_lock = threading.Lock()
        #: When OpenRouter was asked about each key, and whether it rejected the key.
        self._answers: dict[str, tuple[float, bool]] = {}
        #: Keys to set aside with the next request, because the response had begun already.
        self._postponed: dict[str, bool] = {}

    def confirm(self, api_key: str, seconds: float) -> bool:
        """Return whether OpenRouter rejects the key when asked again; False if it is not sure.

        One ``GET /key`` within ``seconds``, and at most one per key and minute.
        """
        key_hash = hash_of_key(api_key)
        seconds = min(seconds, CONFIRM_TIMEOUT)
        finish_by = monotonic() + seconds
        lock = self._locks[int(key_hash[:8], 16) % _LOCKS]
        if seconds <= 0 or not lock.acquire(timeout=seconds):
            return False
        try:
            asked_at, is_rejected = self._answers.get(key_hash, (0.0, False))
            if not 0 <= self._clock() - asked_at < CONFIRMED_SECONDS:
                is_rejected = self._is_rejected(api_key, finish_by) is True
                self.note(api_key, is_rejected=is_rejected)
            return is_rejected
        finally:
            lock.release()

    def is_accepted(self, api_key: str) -> bool:
        """Return whether OpenRouter accepts the key now.

        One key at a time, and two seconds at most, waiting included. False if there was no answer.
        """
        finish_by = monotonic() + ACCEPTED_TIMEOUT
        if not self._one_at_a_time.acquire(timeout=ACCEPTED_TIMEOUT):
            return False
        try:
            is_accepted = self._is_rejected(api_key, finish_by) is False
        finally:
            self._one_at_a_time.release()
        if is_accepted:
            self.note(api_key, is_rejected=False)
        return is_accepted

    def note(self, api_key: str, *, is_rejected: bool) -> None:
        """Remember what OpenRouter has answered to ``GET /key``."""
        key_hash = hash_of_key(api_key)
        with self._memory_lock:
            remember(self._answers, key_hash, (self._clock(), is_rejected), self._most)
            if not is_rejected:
                self._postponed.pop(key_hash, None)

    def postpone(self, api_key: str) -> None:
        """Remember to set this key aside with the next request."""
        with self._memory_lock:
            remember(self._postponed, hash_of_key(api_key), True, self._most)

    def settle(self, api_key: str) -> None:
        """Note that this key has been set aside.

        Otherwise this worker would do so again after another worker has given the key back.
        """
        with self._memory_lock:
            self._postponed.pop(hash_of_key(api_key), None)

    def is_postponed(self, api_key: str) -> bool:
        """Return whether this key is to be set aside."""
        # Hashed only if there is any: every guarded request asks.
        return bool(self._postponed) and hash_of_key(api_key) in self._postponed

    def is_replacement(self, record: KeyRecord) -> bool:
        """Return whether this rejected key is a new one that replaced another rejected key.

        Then OpenRouter rejects keys that it has just issued, and another login would not help.
        """
        age = self._clock() - record.connected_at
        return record.follows_rejected and age <= REPLACEMENT_SECONDS

    def _is_rejected(self, api_key: str, finish_by: float) -> bool | None:
        """Ask OpenRouter; None if it does not say by this time (monotonic clock)."""
        seconds = max(finish_by - monotonic(), _SHORTEST_SECONDS)
        try:
            self._client.get_key_info(api_key, timeout=seconds, retries=0)
        except KeyRejectedError:
            return True
        except OpenRouterError:
            return None
        return False


def unconfirmed(error: KeyRejectedError) -> APIError:
    """Return the error for a 401 that OpenRouter does not confirm."""
    return APIError(
        error.status,
        error.upstream_message,
        request_id=error.request_id,
        reason="unconfirmed",
        is_retryable=True,
    )
