"""Where keys live: the promise that every back end keeps, and the back ends themselves."""

from __future__ import annotations

from typing import Protocol, runtime_checkable

__all__ = ["KeyStorage"]


@runtime_checkable
class KeyStorage(Protocol):
    """Keeps one ciphertext per owner. Any object with these three methods will do.

    A back end never sees a key in the clear: encryption sits above it. Owners are strings of up to
    255 characters, compared exactly (``"a"`` is not ``"A"``), and never share an entry. Raise any
    exception on failure: the caller reports it as
    :class:`~flask_openrouter.errors.KeyStorageError`. Methods are called from many threads at once.
    """

    def get(self, owner_id: str) -> str | None:
        """Return the ciphertext that was set last for this owner, or None."""

    def set(self, owner_id: str, ciphertext: str) -> None:
        """Store this ciphertext for this owner, replacing any other."""

    def delete(self, owner_id: str) -> None:
        """Forget this owner's ciphertext. No error if there is none."""
