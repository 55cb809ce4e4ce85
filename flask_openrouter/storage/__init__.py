"""Storages of keys: what each of them promises, and those that come with the extension."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import datetime
from typing import Final, NamedTuple, Protocol, runtime_checkable

__all__ = [
    "AddingStorage",
    "ComparingStorage",
    "ConnectedOwner",
    "KeyStorage",
    "ListableStorage",
    "ReplacingStorage",
    "check_owner_id",
]

#: Prefix of the owner ids of visitors whom the app does not know: ``"browser:"`` and a random id.
BROWSER: Final = "browser:"
#: Characters (code points) of the longest owner id.
MAX_LENGTH: Final = 255
_OWNER_ID: Final = re.compile(rf"[^\0\ud800-\udfff]{{1,{MAX_LENGTH}}}")


@runtime_checkable
class KeyStorage(Protocol):
    """Keeps one ciphertext per owner. Any object with these three methods is one.

    A storage never sees a key in the clear: keys are encrypted before they reach it. Owners are
    strings of up to 255 characters, compared exactly (``"a"`` is not ``"A"``), and never share an
    entry. Raise any exception on failure: the caller reports it as
    :class:`~flask_openrouter.errors.KeyStorageError`. Methods are called from many threads at once.
    """

    def get(self, owner_id: str) -> str | None:
        """Return the ciphertext that was set last for this owner, or None."""

    def set(self, owner_id: str, ciphertext: str) -> None:
        """Store this ciphertext for this owner, replacing any other."""

    def delete(self, owner_id: str) -> None:
        """Delete this owner's ciphertext. No error if there is none."""


@runtime_checkable
class ListableStorage(KeyStorage, Protocol):
    """A :class:`KeyStorage` that can list its owners, which the rotation of keys needs.

    Both methods read in batches and hold no lock or statement between two batches, so visitors can
    connect and disconnect meanwhile.
    """

    def owner_ids(self, after: str | None = None) -> Iterator[str]:
        """Yield every owner that has an entry from the start of the walk to its end.

        ``after``: an owner id that an earlier walk has yielded. A storage that has an order goes on
        behind it; one without an order begins again. Some owners may be yielded twice, and owners
        who come or go during the walk may be missing, so repeating what is done for an owner must
        be harmless.
        """
        ...

    def count_owners(self) -> int:
        """Return about how many owners there are, for a progress bar."""
        ...


@runtime_checkable
class ReplacingStorage(KeyStorage, Protocol):
    """A :class:`KeyStorage` whose entries can be re-encrypted while visitors come and go.

    With it, the rotation of keys can neither undo a login nor bring back a key that was deleted at
    the same moment.
    """

    def replace(self, owner_id: str, ciphertext: str, new_ciphertext: str) -> bool:
        """Store ``new_ciphertext`` if ``ciphertext`` is what is stored now, as one atomic step.

        Otherwise change nothing. An entry that expires does so when it would have. Return whether
        it was stored. A storage whose entries expire may also have ``renew(owner_id, ciphertext)``,
        which starts the time of an entry anew if this is what is stored: it is called after another
        key was put in the place of one.
        """
        ...


@runtime_checkable
class ComparingStorage(KeyStorage, Protocol):
    """A :class:`KeyStorage` that deletes an entry only if it is still the expected one.

    With it, a key that OpenRouter has rejected is deleted without the risk that a key which the
    visitor connects at the same moment is deleted in its place.
    """

    def delete_if(self, owner_id: str, ciphertext: str) -> bool:
        """Delete the entry if ``ciphertext`` is what is stored now, as one atomic step.

        Otherwise change nothing. Return whether it was deleted.
        """
        ...


@runtime_checkable
class AddingStorage(KeyStorage, Protocol):
    """A :class:`KeyStorage` that can store an entry only if there is none.

    With it, a key that is handed to its user, or imported, does not replace one that is connected
    at the same moment. If the storage is also a :class:`ReplacingStorage` and a
    :class:`ComparingStorage`, a key that is disconnected while it is handed over does not come
    back.
    """

    def add(self, owner_id: str, ciphertext: str) -> bool:
        """Store this ciphertext if nothing is stored for this owner, as one atomic step.

        Otherwise change nothing. Return whether it was stored.
        """
        ...


class ConnectedOwner(NamedTuple):
    """An owner that has a key. The key is not part of it.

    ``owner_id``: as :meth:`OpenRouterAuth.for_owner` takes it. ``connected_at``: when the key was
    connected, in UTC.
    """

    owner_id: str
    connected_at: datetime


def check_owner_id(owner_id: object) -> str:
    """Return ``owner_id`` if every storage can keep it exactly.

    Raises ValueError unless it is a string of 1 to 255 characters, without NUL or lone surrogates:
    databases cut, refuse or alter the others, and an altered owner is another person.
    """
    if isinstance(owner_id, str) and _OWNER_ID.fullmatch(owner_id):
        return owner_id
    if not isinstance(owner_id, str) or not 1 <= len(owner_id) <= MAX_LENGTH:
        raise ValueError(f"An owner id is a string of 1 to {MAX_LENGTH} characters.")
    raise ValueError("An owner id holds no NUL character and no lone surrogates.")
