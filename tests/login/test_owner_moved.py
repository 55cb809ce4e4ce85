"""A key that moves to its owner while other requests run, in every order of their steps."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import pytest
from bare_storage import Bare
from orders import SteppedStorage, every_order

from flask_openrouter.login.owner import adopt
from flask_openrouter.storage.cipher import KeyCipher
from flask_openrouter.storage.memory import MemoryStorage
from flask_openrouter.storage.record import KeyRecord
from flask_openrouter.storage.vault import KeyVault

OLD = KeyRecord("sk-or-v1-" + "4" * 64, None, 1_800_000_000)
NEW = KeyRecord("sk-or-v1-" + "5" * 64, None, 1_800_000_001)
USERS = KeyRecord("sk-or-v1-" + "6" * 64, None, 1_700_000_000)
CIPHER = KeyCipher([b"material"])
NAMES = {OLD.api_key: "old", NEW.api_key: "new", USERS.api_key: "user's"}

Request = Callable[[KeyVault], object]


def vault_of(storage: Any) -> KeyVault:
    vault = KeyVault(storage, CIPHER, base_url="https://x.example")
    vault.save("before", OLD)
    return vault


def stored(vault: KeyVault) -> tuple[str | None, str | None]:
    """Return what the user has, and what is left at the former id."""
    user, former = vault.load("1"), vault.load("before")
    return user and NAMES[user.api_key], former and NAMES[former.api_key]


def move(vault: KeyVault) -> None:
    adopt(vault, "before", "1")


def disconnect(vault: KeyVault) -> None:
    vault.forget("before")
    vault.forget("1")


def connect(vault: KeyVault) -> None:
    vault.save("1", NEW)


def claim(vault: KeyVault) -> bool:
    """Replace what the user has, after the browser's key was read."""
    present = vault.load("1")
    return vault.move("before", "1", OLD, present)


def outcomes(
    *requests: Request, present: KeyRecord | None = None
) -> Iterator[tuple[str | None, str | None]]:
    """Yield what is stored after each order."""
    vaults: list[KeyVault] = []

    def start() -> list[Callable[[], object]]:
        vaults[:] = [vault_of(SteppedStorage())]
        if present is not None:
            vaults[0].save("1", present)
        return [partial(request, vaults[0]) for request in requests]

    for _ in every_order(start, are_alike=len({*requests}) == 1):
        yield stored(vaults[0])


@pytest.mark.requirement("W5")
def test_of_two_requests_that_move_a_key_none_loses_it() -> None:
    assert {*outcomes(move, move)} == {("old", None)}


@pytest.mark.requirement("W5")
def test_a_key_that_is_connected_meanwhile_stays() -> None:
    assert {*outcomes(move, connect)} == {("new", None)}


@pytest.mark.requirement("W5")
def test_a_disconnect_meanwhile_is_not_undone() -> None:
    assert {*outcomes(move, disconnect)} == {(None, None)}


@pytest.mark.parametrize("present", [None, pytest.param(USERS, marks=pytest.mark.every_variant)])
def test_of_two_claims_none_loses_the_key(present: KeyRecord | None) -> None:
    assert {*outcomes(claim, claim, present=present)} == {("old", None)}


@pytest.mark.parametrize("present", [None, USERS])
def test_a_browser_that_disconnects_before_its_key_is_handed_over_keeps_it_from_the_user(
    present: KeyRecord | None,
) -> None:
    """Then the user has again what they had before."""
    answers: list[bool] = []
    found = {
        (answers.pop(), *left)
        for left in outcomes(
            lambda vault: answers.append(claim(vault)),
            lambda vault: vault.forget("before"),
            present=present,
        )
    }
    assert found == {(True, "old", None), (False, present and "user's", None)}


class Repeating(MemoryStorage):
    """Asks again, as a client does whose connection broke before the answer."""

    def add(self, owner_id: str, ciphertext: str) -> bool:
        super().add(owner_id, ciphertext)
        return super().add(owner_id, ciphertext)

    def replace(self, owner_id: str, ciphertext: str, new_ciphertext: str) -> bool:
        super().replace(owner_id, ciphertext, new_ciphertext)
        return super().replace(owner_id, ciphertext, new_ciphertext)

    def delete_if(self, owner_id: str, ciphertext: str) -> bool:
        super().delete_if(owner_id, ciphertext)
        return super().delete_if(owner_id, ciphertext)


@pytest.mark.parametrize("present", [None, USERS])
def test_a_storage_that_repeats_each_call_loses_no_key(present: KeyRecord | None) -> None:
    vault = vault_of(Repeating())
    if present is not None:
        vault.save("1", present)
    assert vault.move("before", "1", OLD, present)
    assert stored(vault) == ("old", None)
    assert vault.replace("1", OLD, NEW)
    aside = vault.set_aside("1", NEW)
    assert aside is not None
    assert vault.give_back("1", aside) == NEW == vault.load("1")


def test_a_key_that_does_not_open_is_not_replaced() -> None:
    """It was encrypted by a worker that has another secret already."""
    storage = MemoryStorage()
    other = KeyVault(storage, KeyCipher([b"other"]), base_url="https://x.example")
    other.save("1", NEW)
    vault = vault_of(storage)
    assert not vault.move("before", "1", OLD)
    assert adopt(vault, "before", "1") == OLD
    assert other.load("1") == NEW
    assert stored(vault) == (None, "old")
    # Unless somebody says so: see import_key(replace=True).
    assert vault.replace("1", None, OLD)


def test_what_the_owner_has_is_used_if_the_former_key_cannot_be_moved() -> None:
    vault = vault_of(MemoryStorage())
    vault.save("1", NEW)
    assert adopt(vault, "before", "1") == NEW
    assert stored(vault) == ("new", None)

    class Disconnected(MemoryStorage):
        def add(self, owner_id: str, ciphertext: str) -> bool:
            self.delete("before")
            return super().add(owner_id, ciphertext)

    vault = vault_of(Disconnected())
    assert adopt(vault, "before", "1") is None
    assert stored(vault) == (None, None)


def test_a_key_that_is_encrypted_anew_meanwhile_is_replaced() -> None:
    class Rotated(MemoryStorage):
        tries = 0

        def replace(self, owner_id: str, ciphertext: str, new_ciphertext: str) -> bool:
            self.tries += 1
            return self.tries > 1 and super().replace(owner_id, ciphertext, new_ciphertext)

    vault = vault_of(Rotated())
    assert vault.replace("before", OLD, NEW)
    assert stored(vault) == (None, "new")


def test_a_storage_that_never_replaces_ends_it() -> None:
    class Stubborn(MemoryStorage):
        def replace(self, owner_id: str, ciphertext: str, new_ciphertext: str) -> bool:
            return False

    vault = vault_of(Stubborn())
    assert not vault.replace("before", OLD, NEW)
    assert stored(vault) == (None, "old")


def test_a_storage_with_three_methods_keeps_the_key() -> None:
    """It cannot tell a disconnect from another request that moves the key."""

    class Gone(Bare):
        def set(self, owner_id: str, ciphertext: str) -> None:
            super().set(owner_id, ciphertext)
            if owner_id == "1":
                super().delete("before")

    vault = vault_of(Gone())
    assert vault.move("before", "1", OLD)
    assert stored(vault) == ("old", None)
    assert not vault.move("before", "1", OLD)
