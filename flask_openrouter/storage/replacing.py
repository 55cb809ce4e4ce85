"""The optional third promise of a back end: it writes only over what it was shown."""

from __future__ import annotations

from typing import Protocol, runtime_checkable

from . import KeyStorage

__all__ = ["ReplacingStorage"]


@runtime_checkable
class ReplacingStorage(KeyStorage, Protocol):
    """A :class:`KeyStorage` whose entries can be re-encrypted while visitors come and go.

    With it, the rotation of keys can neither undo a login nor bring back a key that was deleted at
    the same moment.
    """

    def replace(self, owner_id: str, ciphertext: str, new_ciphertext: str) -> bool:
        """Store ``new_ciphertext`` if ``ciphertext`` is what is stored now, as one atomic step.

        Otherwise change nothing. An entry that expires does so when it would have. Returns whether
        it was stored.
        """
        ...
