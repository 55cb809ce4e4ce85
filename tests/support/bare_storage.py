"""A storage as another project would write it."""

from __future__ import annotations


class Bare:
    """No more than the protocol, and nothing from the package."""

    def __init__(self) -> None:
        self.entries: dict[str, str] = {}

    def get(self, owner_id: str) -> str | None:
        return self.entries.get(owner_id)

    def set(self, owner_id: str, ciphertext: str) -> None:
        self.entries[owner_id] = ciphertext

    def delete(self, owner_id: str) -> None:
        self.entries.pop(owner_id, None)
