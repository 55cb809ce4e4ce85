"""The optional second promise of a back end: it can tell whose keys it keeps."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Protocol, runtime_checkable

from . import KeyStorage

__all__ = ["ListableStorage"]


@runtime_checkable
class ListableStorage(KeyStorage, Protocol):
    """A :class:`KeyStorage` that can list its owners, which the rotation of keys needs.

    Both methods read in batches and keep no lock or statement open between two of them, so other
    visitors connect and disconnect meanwhile.
    """

    def owner_ids(self, after: str | None = None) -> Iterator[str]:
        """Yield every owner that has an entry from the start of the walk to its end.

        ``after``: an owner id that an earlier walk has yielded. A back end that keeps an order goes
        on behind it; one without an order begins again. Some owners may be yielded twice, and
        owners who come or go during the walk may be missing, so what is done for each must be
        harmless to repeat.
        """
        ...

    def count_owners(self) -> int:
        """Return about how many owners there are, for a progress bar."""
        ...
