"""Re-encryption of all stored keys with the newest encryption key, so that older ones can go."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from ..errors import ConfigurationError
from .cookie import CookieStorage
from .listing import Listing
from .outcomes import Outcome
from .vault import KeyVault


class Rotation:
    """A walk over every stored record. Repeating it or a part of it is harmless.

    Visitors connect and disconnect meanwhile: see :meth:`KeyVault.reencrypt`. Raises
    :class:`ConfigurationError` for a storage whose owners cannot be listed, or that is handed its
    records in the clear.
    """

    def __init__(self, vault: KeyVault) -> None:
        if not vault.is_encrypting:
            raise ConfigurationError(
                "With encrypt=False the storage encrypts, not this extension: rotate its keys"
                " there."
            )
        self._vault = vault
        self._listing = Listing(vault, otherwise=_keep_older_key(vault))
        #: The number of records by outcome.
        self.counts: Final[dict[Outcome, int]] = dict.fromkeys(Outcome, 0)

    def count_owners(self) -> int:
        """Return about how many records there are. Raises :class:`KeyStorageError`."""
        return self._listing.count_owners()

    def run(self, after: str | None = None) -> Iterator[str]:
        """Re-encrypt what needs it; yield each owner when their record is done.

        ``after``: the owner that an earlier walk ended with. Raises :class:`KeyStorageError` when
        the storage fails; what is done until then stays done.
        """
        for owner_id in self._listing.owner_ids(after):
            self.counts[self._vault.reencrypt(owner_id)] += 1
            yield owner_id


def _keep_older_key(vault: KeyVault) -> str:
    if isinstance(vault.storage, CookieStorage):
        return (
            "Each is encrypted with the newest key when its visitor connects again. Keep the older"
            " key among the fallbacks for OPENROUTER_KEY_MAX_AGE after the change."
        )
    return "Or keep the older key among the fallbacks until all visitors have connected again."
