"""A key that moves to its owner's primary key while other requests of the owner run."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier

import pytest

from flask_openrouter.login.owner import adopt
from flask_openrouter.storage.cipher import KeyCipher
from flask_openrouter.storage.memory import MemoryStorage
from flask_openrouter.storage.record import KeyRecord
from flask_openrouter.storage.vault import KeyVault

OLD = KeyRecord("sk-or-v1-" + "4" * 64, None, 1_800_000_000)
NEW = KeyRecord("sk-or-v1-" + "5" * 64, None, 1_800_000_000)


class Hooked(MemoryStorage):
    """Calls a function after each read and before each write."""

    after_get: Callable[[str], object] = staticmethod(lambda owner_id: None)
    before_set: Callable[[], object] = staticmethod(lambda: None)

    def get(self, owner_id: str) -> str | None:
        stored = super().get(owner_id)
        self.after_get(owner_id)
        return stored

    def set(self, owner_id: str, ciphertext: str) -> None:
        self.before_set()
        super().set(owner_id, ciphertext)


@pytest.fixture
def storage() -> Hooked:
    return Hooked()


@pytest.fixture
def vault(storage: Hooked) -> KeyVault:
    vault = KeyVault(storage, KeyCipher([b"material"]), base_url="https://x.example")
    vault.save("before", OLD)
    return vault


@pytest.mark.requirement("W5")
@pytest.mark.parametrize("newer", [NEW, None])
def test_a_key_that_is_connected_meanwhile_stays(
    storage: Hooked, vault: KeyVault, newer: KeyRecord | None
) -> None:
    """Also if it is disconnected again."""

    def connect(owner_id: str) -> None:
        if owner_id == "before":
            del storage.after_get
            vault.save("1", NEW)

    def disconnect(owner_id: str) -> None:
        if owner_id == "1":
            del storage.after_get
            vault.forget("1")

    def come_and_go(owner_id: str) -> None:
        connect(owner_id)
        storage.after_get = disconnect

    storage.after_get = connect if newer else come_and_go
    assert adopt(vault, "before", "1") == newer
    assert (vault.load("1"), vault.load("before")) == (newer, None)


@pytest.mark.requirement("W5")
def test_a_key_that_two_requests_move_at_once_is_not_lost(storage: Hooked, vault: KeyVault) -> None:
    """The second one finds that the former entry is gone, as after a disconnect."""
    storage.before_set = Barrier(2, timeout=60).wait
    with ThreadPoolExecutor(2) as pool:
        moved = list(pool.map(lambda _: adopt(vault, "before", "1"), range(2)))
    assert moved == [OLD, OLD]
    assert (vault.load("1"), vault.load("before")) == (OLD, None)
