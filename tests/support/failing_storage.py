"""A storage that fails on demand."""

from __future__ import annotations

from flask_openrouter.storage.memory import MemoryStorage


class FailingStorage(MemoryStorage):
    """Raises in the operations that ``failing`` names: ``get``, ``set`` or ``delete``."""

    def __init__(self, *failing: str) -> None:
        super().__init__()
        self.failing = set(failing)

    def _enter(self, operation: str) -> None:
        if operation in self.failing:
            raise OSError("password=hunter2")

    def get(self, owner_id: str) -> str | None:
        self._enter("get")
        return super().get(owner_id)

    def set(self, owner_id: str, ciphertext: str) -> None:
        self._enter("set")
        super().set(owner_id, ciphertext)

    def add(self, owner_id: str, ciphertext: str) -> bool:
        self._enter("set")
        return super().add(owner_id, ciphertext)

    def delete(self, owner_id: str) -> None:
        self._enter("delete")
        super().delete(owner_id)

    def delete_if(self, owner_id: str, ciphertext: str) -> bool:
        self._enter("delete")
        return super().delete_if(owner_id, ciphertext)
