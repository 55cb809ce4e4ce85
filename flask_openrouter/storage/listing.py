"""The owners of all stored records, for commands that walk over them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import datetime, timezone
from typing import Final, TypeVar

from ..errors import ConfigurationError, KeyStorageError
from . import ConnectedOwner, ListableStorage
from .cookie import CookieStorage
from .namespace import NAMESPACE
from .outcomes import Age
from .vault import KeyVault

Result = TypeVar("Result")


class Listing:
    """The owners that have a record in an app's storage.

    ``otherwise``: what the developer does instead when the storage cannot list them.
    Raises :class:`ConfigurationError` when it cannot.
    """

    def __init__(self, vault: KeyVault, *, otherwise: str = "") -> None:
        self._vault = vault
        self._storage = _listable(vault.storage, otherwise)
        #: The owners whose records :meth:`connected_owners` could not open.
        self.unreadable: Final[set[str]] = set()

    def count_owners(self) -> int:
        """Return about how many records there are. Raises :class:`KeyStorageError`."""
        return _read(self._storage.count_owners)

    def owner_ids(self, after: str | None = None) -> Iterator[str]:
        """Yield the owners, some perhaps twice. Raises :class:`KeyStorageError`.

        ``after``: the owner that an earlier walk ended with.
        """
        owner_ids = _read(lambda: iter(self._storage.owner_ids(after)))
        while (owner_id := _read(lambda: next(owner_ids, None))) is not None:
            # Without a namespace of its own, the app sees the entries of the others.
            if not owner_id.startswith(NAMESPACE):
                yield owner_id

    def connected_owners(self) -> Iterator[ConnectedOwner]:
        """Yield every owner that counts as connected, once. Raises :class:`KeyStorageError`."""
        seen: set[str] = set()
        for owner_id in self.owner_ids():
            connected_at = None if owner_id in seen else self._vault.connected_at(owner_id)
            if connected_at is not None:
                seen.add(owner_id)
                yield ConnectedOwner(owner_id, datetime.fromtimestamp(connected_at, timezone.utc))
            elif (
                owner_id not in seen and self._vault.prune(owner_id, dry_run=True) is Age.UNREADABLE
            ):
                self.unreadable.add(owner_id)


def _read(read: Callable[[], Result]) -> Result:
    try:
        return read()
    except Exception as exc:
        message = f"Listing the owners failed: the storage raised {type(exc).__name__}."
        if isinstance(exc, ConfigurationError):
            # It names the remedy.
            message = f"{message} {exc}"
        raise KeyStorageError(message) from exc


def _listable(storage: object, otherwise: str) -> ListableStorage:
    if isinstance(storage, CookieStorage):
        problem = "Keys live in the visitors' browsers, where they cannot be listed."
    elif isinstance(storage, ListableStorage):
        return storage
    else:
        problem = (
            f"{type(storage).__name__} does not list its owners. Give it the methods"
            " owner_ids(after) and count_owners() of flask_openrouter.storage.ListableStorage."
        )
    raise ConfigurationError(f"{problem} {otherwise}".strip())
