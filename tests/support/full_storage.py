"""A storage that is full for a while."""

from __future__ import annotations

from flask_openrouter.storage.memory import MemoryStorage


class FullStorage(MemoryStorage):
    """Takes nothing while ``is_full``."""

    is_full = False

    def set(self, owner_id: str, ciphertext: str) -> None:
        if self.is_full:
            raise OSError("no space left")
        super().set(owner_id, ciphertext)

    def add(self, owner_id: str, ciphertext: str) -> bool:
        if self.is_full:
            raise OSError("no space left")
        return super().add(owner_id, ciphertext)
