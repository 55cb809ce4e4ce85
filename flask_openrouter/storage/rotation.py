"""Re-encryption of all stored keys with the newest encryption key, so that older ones can go."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Final, TypeVar

from ..errors import ConfigurationError, KeyStorageError
from . import ListableStorage
from .cookie import CookieStorage
from .vault import KeyVault, Outcome

Result = TypeVar("Result")


class Rotation:
    """A walk over every stored record. Repeating it or a part of it is harmless.

    Visitors connect and disconnect meanwhile: see :meth:`KeyVault.reencrypt`. Raises
    :class:`ConfigurationError` for a storage whose owners cannot be listed, or that is handed its
    records in the clear.
    """

    def __init__(self, vault: KeyVault) -> None:
        self._vault = vault
        self._storage = _listable(vault)
        #: The number of records by outcome.
        self.counts: Final[dict[Outcome, int]] = dict.fromkeys(Outcome, 0)

    def count_owners(self) -> int:
        """Return about how many records there are. Raises :class:`KeyStorageError`."""
        return _listing(self._storage.count_owners)

    def run(self, after: str | None = None) -> Iterator[str]:
        """Re-encrypt what needs it; yield each owner when their record is done.

        ``after``: the owner that an earlier walk ended with. Raises :class:`KeyStorageError` when
        the storage fails; what is done until then stays done.
        """
        owner_ids = _listing(lambda: iter(self._storage.owner_ids(after)))
        while (owner_id := _listing(lambda: next(owner_ids, None))) is not None:
            self.counts[self._vault.reencrypt(owner_id)] += 1
            yield owner_id


def _listing(read: Callable[[], Result]) -> Result:
    try:
        return read()
    except Exception as exc:
        message = f"Listing the owners failed: the storage raised {type(exc).__name__}."
        raise KeyStorageError(message) from exc


def _listable(vault: KeyVault) -> ListableStorage:
    storage = vault.storage
    if not vault.is_encrypting:
        raise ConfigurationError(
            "With encrypt=False the storage encrypts, not this extension: rotate its keys there."
        )
    if isinstance(storage, CookieStorage):
        raise ConfigurationError(
            "Keys live in the visitors' browsers, where they cannot be listed. Each is encrypted"
            " with the newest key when its visitor connects again. Keep the older key among the"
            " fallbacks for OPENROUTER_KEY_MAX_AGE after the change."
        )
    if not isinstance(storage, ListableStorage):
        raise ConfigurationError(
            f"{type(storage).__name__} does not list its owners. Give it the methods"
            " owner_ids(after) and count_owners() of"
            " flask_openrouter.storage.ListableStorage, or keep the older key among the"
            " fallbacks until everybody has connected again."
        )
    return storage
