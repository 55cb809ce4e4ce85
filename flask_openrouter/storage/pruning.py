"""Deletion of the records that are past their age, which nothing else deletes from a database."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from .listing import Listing
from .outcomes import Age
from .vault import KeyVault


class Pruning:
    """A walk over every stored record. Repeating it is harmless.

    Only records that open and are past their age are deleted. The others may belong to another
    encryption key. Raises :class:`ConfigurationError` when the storage cannot list its owners.
    """

    def __init__(self, vault: KeyVault) -> None:
        self._vault = vault
        self._listing = Listing(vault)
        #: The number of records by age.
        self.counts: Final[dict[Age, int]] = dict.fromkeys(Age, 0)

    def count_owners(self) -> int:
        """Return about how many records there are. Raises :class:`KeyStorageError`."""
        return self._listing.count_owners()

    def run(self, *, dry_run: bool) -> Iterator[tuple[str, Age]]:
        """Delete what is past its age; yield each owner and what was found.

        ``dry_run``: delete nothing. Raises :class:`KeyStorageError` when the storage fails; what is
        deleted until then stays deleted.
        """
        for owner_id in self._listing.owner_ids():
            age = self._vault.prune(owner_id, dry_run=dry_run)
            self.counts[age] += 1
            yield owner_id, age
