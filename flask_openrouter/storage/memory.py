"""A storage in a dictionary, for tests and for single processes that may lose it at the end."""

from __future__ import annotations

import os
from collections.abc import Iterator
from threading import Lock

from . import check_owner_id

__all__ = ["MemoryStorage"]


class MemoryStorage:
    """Keeps ciphertexts in this process only. Other workers do not see them; a restart loses them.

    Every method raises ValueError for an owner id that ``check_owner_id`` refuses.
    """

    def __init__(self) -> None:
        self._ciphertexts: dict[str, str] = {}
        # By process: a lock that another thread holds during a fork stays held in the child.
        self._locks: dict[int, Lock] = {}

    @property
    def location(self) -> str:
        """Where the entries are, for messages."""
        return "the memory of this process, which no other process sees"

    def get(self, owner_id: str) -> str | None:
        """Return the ciphertext that was set last for this owner, or None."""
        return self._ciphertexts.get(check_owner_id(owner_id))

    def set(self, owner_id: str, ciphertext: str) -> None:
        """Store this ciphertext for this owner, replacing any other."""
        with self._lock():
            self._ciphertexts[check_owner_id(owner_id)] = ciphertext

    def add(self, owner_id: str, ciphertext: str) -> bool:
        """Store this ciphertext if nothing is stored for this owner; return whether it was."""
        with self._lock():
            is_absent = check_owner_id(owner_id) not in self._ciphertexts
            if is_absent:
                self._ciphertexts[owner_id] = ciphertext
        return is_absent

    def replace(self, owner_id: str, ciphertext: str, new_ciphertext: str) -> bool:
        """Store ``new_ciphertext`` if ``ciphertext`` is what is stored; return whether it was."""
        with self._lock():
            is_stored = self._ciphertexts.get(check_owner_id(owner_id)) == ciphertext
            if is_stored:
                self._ciphertexts[owner_id] = new_ciphertext
        return is_stored

    def delete(self, owner_id: str) -> None:
        """Delete this owner's ciphertext. No error if there is none."""
        with self._lock():
            self._ciphertexts.pop(check_owner_id(owner_id), None)

    def delete_if(self, owner_id: str, ciphertext: str) -> bool:
        """Delete the entry if ``ciphertext`` is what is stored; return whether it was."""
        with self._lock():
            is_stored = self._ciphertexts.get(check_owner_id(owner_id)) == ciphertext
            if is_stored:
                del self._ciphertexts[owner_id]
        return is_stored

    def owner_ids(self, after: str | None = None) -> Iterator[str]:
        """Yield the owners in order, those behind ``after`` only if it is given."""
        for owner_id in sorted(self._ciphertexts.copy()):
            if after is None or owner_id > after:
                yield owner_id

    def count_owners(self) -> int:
        """Return how many owners there are."""
        return len(self._ciphertexts)

    def _lock(self) -> Lock:
        return self._locks.setdefault(os.getpid(), Lock())
