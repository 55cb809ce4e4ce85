"""Namespaces, which keep apart the apps that share a secret and a storage.

The entry of the owner ``ada`` in the namespace ``shop`` is called ``namespace:shop:ada``. No id of
an owner begins with ``namespace:``, so no app can reach the entry of another.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any, Final

from . import (
    BROWSER,
    MAX_LENGTH,
    AddingStorage,
    ComparingStorage,
    KeyStorage,
    ListableStorage,
    ReplacingStorage,
    check_owner_id,
)

#: Prefix of the entries of all namespaces.
NAMESPACE: Final = "namespace:"
#: What a namespace may be: it is part of the names of cookies.
NAMESPACE_FORM: Final = re.compile(r"[A-Za-z0-9_.-]{1,32}")


def split_entry(entry: str) -> tuple[str | None, str]:
    """Return the namespace of an entry, or None, and its owner id."""
    if not entry.startswith(NAMESPACE):
        return None, entry
    namespace, _, owner_id = entry[len(NAMESPACE) :].partition(":")
    return namespace, owner_id


def is_of_browser(entry: str) -> bool:
    """Return whether an entry belongs to a visitor whom the app does not know."""
    return split_entry(entry)[1].startswith(BROWSER)


def back_end(storage: KeyStorage) -> KeyStorage:
    """Return the storage itself, without its namespace."""
    return storage.inner if isinstance(storage, NamespacedStorage) else storage


def in_namespace(storage: KeyStorage, namespace: str) -> NamespacedStorage:
    """Return a storage that has the entries of this namespace only, and the methods of the other.

    Its methods raise ValueError for an owner id that is too long beside the namespace.
    """
    parts = (
        (ListableStorage, _Listable),
        (ReplacingStorage, _Replacing),
        (ComparingStorage, _Comparing),
        (AddingStorage, _Adding),
    )
    bases = [part for protocol, part in parts if isinstance(storage, protocol)]
    kind = type(NamespacedStorage.__name__, (*bases, NamespacedStorage), {})
    namespaced: NamespacedStorage = kind(storage, namespace)
    return namespaced


class NamespacedStorage:
    """The entries of one namespace in a storage."""

    def __init__(self, inner: Any, namespace: str) -> None:
        self.inner = inner
        self.namespace = namespace

    def get(self, owner_id: str) -> str | None:
        """Return the ciphertext that was set last for this owner, or None."""
        ciphertext: str | None = self.inner.get(self._entry(owner_id))
        return ciphertext

    def set(self, owner_id: str, ciphertext: str) -> None:
        """Store this ciphertext for this owner, replacing any other."""
        self.inner.set(self._entry(owner_id), ciphertext)

    def delete(self, owner_id: str) -> None:
        """Delete this owner's ciphertext. No error if there is none."""
        self.inner.delete(self._entry(owner_id))

    def close(self) -> None:
        """Close the connections of the storage, if it has any."""
        getattr(self.inner, "close", lambda: None)()

    @property
    def location(self) -> str:
        """Where the entries are, for messages."""
        location = getattr(self.inner, "location", type(self.inner).__name__)
        return f"the namespace {self.namespace!r} of {location}"

    def _entry(self, owner_id: str) -> str:
        start = f"{NAMESPACE}{self.namespace}:"
        if len(start) + len(check_owner_id(owner_id)) > MAX_LENGTH:
            most = MAX_LENGTH - len(start)
            raise ValueError(f"In this namespace an owner id has at most {most} characters.")
        return start + owner_id


class _Listable(NamespacedStorage):
    def owner_ids(self, after: str | None = None) -> Iterator[str]:
        """Yield the owners of this namespace."""
        entries = self.inner.owner_ids(None if after is None else self._entry(after))
        for entry in entries:
            namespace, owner_id = split_entry(entry)
            if namespace == self.namespace:
                yield owner_id

    def count_owners(self) -> int:
        """Return about how many owners there are, by a walk over all entries."""
        return sum(1 for _ in self.owner_ids())


class _Replacing(NamespacedStorage):
    def replace(self, owner_id: str, ciphertext: str, new_ciphertext: str) -> bool:
        """Store ``new_ciphertext`` if ``ciphertext`` is what is stored; return whether it was."""
        replaced: bool = self.inner.replace(self._entry(owner_id), ciphertext, new_ciphertext)
        return replaced

    def renew(self, owner_id: str, ciphertext: str) -> None:
        """Start the time of the entry anew, if entries of the storage expire."""
        getattr(self.inner, "renew", lambda *_: None)(self._entry(owner_id), ciphertext)


class _Comparing(NamespacedStorage):
    def delete_if(self, owner_id: str, ciphertext: str) -> bool:
        """Delete the entry if ``ciphertext`` is what is stored; return whether it was."""
        deleted: bool = self.inner.delete_if(self._entry(owner_id), ciphertext)
        return deleted


class _Adding(NamespacedStorage):
    def add(self, owner_id: str, ciphertext: str) -> bool:
        """Store this ciphertext if nothing is stored for this owner; return whether it was."""
        added: bool = self.inner.add(self._entry(owner_id), ciphertext)
        return added
