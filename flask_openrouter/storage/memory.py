"""A storage in a dictionary, for tests and for single processes that may lose it at the end."""

from __future__ import annotations

from collections.abc import Iterator

from . import check_owner_id

__all__ = ["MemoryStorage"]


class MemoryStorage:
    """Keeps ciphertexts in this process only. Other workers do not see them; a restart loses them.

    Every method raises ValueError for an owner id that ``check_owner_id`` refuses.
    """

    def __init__(self) -> None:
        # No lock: each method does one operation on the dictionary, and one operation is atomic.
        # A lock that another thread holds during a fork would stay held in the child for good.
        self._ciphertexts: dict[str, str] = {}

    def get(self, owner_id: str) -> str | None:
        """Return the ciphertext that was set last for this owner, or None."""
        return self._ciphertexts.get(check_owner_id(owner_id))

    def set(self, owner_id: str, ciphertext: str) -> None:
        """Store this ciphertext for this owner, replacing any other."""
        self._ciphertexts[check_owner_id(owner_id)] = ciphertext

    def delete(self, owner_id: str) -> None:
        """Delete this owner's ciphertext. No error if there is none."""
        self._ciphertexts.pop(check_owner_id(owner_id), None)

    def owner_ids(self, after: str | None = None) -> Iterator[str]:
        """Yield the owners in order, those behind ``after`` only if it is given."""
        for owner_id in sorted(self._ciphertexts.copy()):
            if after is None or owner_id > after:
                yield owner_id

    def count_owners(self) -> int:
        """Return how many owners there are."""
        return len(self._ciphertexts)
