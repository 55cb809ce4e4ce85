"""Keys that are replaced, set aside, given back or deleted, if nobody changed them meanwhile."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from cases import case
from flask import Flask

from flask_openrouter.errors import ConfigurationError, KeyStorageError
from flask_openrouter.storage.cipher import KeyCipher
from flask_openrouter.storage.memory import MemoryStorage
from flask_openrouter.storage.outcomes import Age
from flask_openrouter.storage.record import KeyRecord
from flask_openrouter.storage.vault import KeyVault

RECORD = KeyRecord("sk-or-v1-" + "4" * 64, "user_1", 1_800_000_000)
OTHER = KeyRecord("sk-or-v1-" + "5" * 64, "user_1", 1_800_000_001)
OWNER = "[owner 559aead08264]"  # printf %s A | sha256sum


class Comparing(MemoryStorage):
    """Fails in the methods of these names, or loses what is written."""

    def __init__(self, *failing: str) -> None:
        super().__init__()
        self.failing: set[str] = {*failing}
        self.is_losing = False
        self.calls: list[str] = []

    def _call(self, name: str) -> None:
        self.calls.append(name)
        if name in self.failing:
            raise OSError("down")

    def get(self, owner_id: str) -> str | None:
        self._call("get")
        return super().get(owner_id)

    def set(self, owner_id: str, ciphertext: str) -> None:
        self._call("set")
        if not self.is_losing:
            super().set(owner_id, ciphertext)

    def add(self, owner_id: str, ciphertext: str) -> bool:
        self._call("add")
        return self.is_losing or super().add(owner_id, ciphertext)

    def replace(self, owner_id: str, ciphertext: str, new_ciphertext: str) -> bool:
        self._call("replace")
        return self.is_losing or super().replace(owner_id, ciphertext, new_ciphertext)

    def delete_if(self, owner_id: str, ciphertext: str) -> bool:
        self._call("delete_if")
        return super().delete_if(owner_id, ciphertext)


class Plain:
    """The three methods that an app's own storage has."""

    def __init__(self) -> None:
        self.inner = Comparing()
        self.get, self.set, self.delete = self.inner.get, self.inner.set, self.inner.delete


def vault_of(storage: Any, **options: Any) -> KeyVault:
    cipher = KeyCipher([b"the key material"])
    options = {"base_url": "https://openrouter.ai", "clock": lambda: 1_800_000_100.0, **options}
    vault = KeyVault(storage, cipher, **options)
    vault.save("A", RECORD)
    return vault


@pytest.mark.parametrize("kind", [Comparing, Plain])
def test_only_the_record_that_was_read_is_changed(kind: Callable[[], Any]) -> None:
    vault = vault_of(kind())
    assert vault.replace("A", OTHER, OTHER) is False
    assert vault.replace("A", None, OTHER) is False
    assert vault.replace("B", RECORD, OTHER) is False
    assert vault.set_aside("A", OTHER) is None
    assert vault.give_back("A", OTHER) is None
    assert vault.forget_if("A", OTHER) is False
    assert vault.forget_if("B", OTHER) is False
    assert vault.load("A") == RECORD
    aside = replace(RECORD, rejected_at=1_800_000_100)
    assert vault.set_aside("A", RECORD) == aside == vault.load("A")
    assert vault.connected_at("A") is None
    assert vault.give_back("A", aside) == RECORD == vault.load("A")
    assert vault.connected_at("A") == 1_800_000_000
    assert vault.replace("A", RECORD, OTHER) is True
    assert vault.load("A") == OTHER
    assert vault.replace("B", None, OTHER) is True
    assert vault.load("B") == OTHER
    assert vault.forget_if("A", OTHER) is True
    assert (vault.load("A"), vault.connected_at("A")) == (None, None)


def test_a_replaced_record_that_cannot_be_read_back_is_not_replaced() -> None:
    storage = Comparing()
    vault = vault_of(storage)
    storage.is_losing = True
    for old in (RECORD, None):
        with pytest.raises(KeyStorageError, match="give back"):
            vault.replace("A" if old else "B", old, OTHER)
    assert vault.load("A") == RECORD


def test_a_record_counts_until_its_age_or_a_day_after_it_was_set_aside(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.INFO)
    now = [1_800_000_000.0]
    storage = Comparing()
    vault = vault_of(storage, clock=lambda: now[0], max_age=200_000)
    aside = vault.set_aside("A", RECORD)
    now[0] += 24 * 3600
    assert (vault.load("A"), vault.prune("A")) == (aside, Age.CURRENT)
    now[0] += 1
    assert vault.prune("A", dry_run=True) is Age.PAST
    storage.failing = {"delete_if"}
    assert vault.load("A") is None
    assert caplog.messages == [f"A key that was set aside could not be deleted now. {OWNER}"]
    storage.failing = set()
    assert vault.probe("A")
    assert vault.load("A") is None
    assert not vault.probe("A")
    vault.save("A", replace(RECORD, connected_at=1_800_000_000 - 113_599))
    assert vault.connected_at("A") == 1_800_000_000 - 113_599
    now[0] += 1
    assert (vault.connected_at("A"), vault.load("A"), vault.probe("A")) == (None, None, True)


def test_what_does_not_count_is_replaced_like_nothing() -> None:
    now = [1_800_000_000.0]
    vault = vault_of(Comparing(), clock=lambda: now[0], max_age=1_000)
    assert vault.replace("A", None, OTHER) is False
    now[0] += 1_001
    assert vault.replace("A", None, replace(OTHER, connected_at=1_800_001_001)) is True
    vault = vault_of(Comparing(), clock=lambda: now[0])
    assert vault.set_aside("A", RECORD)
    now[0] += 24 * 3600 + 1
    assert vault.replace("A", None, OTHER) is True


def test_only_another_key_has_a_time_of_its_own() -> None:
    class Expiring(Comparing):
        def renew(self, owner_id: str, ciphertext: str) -> None:
            assert MemoryStorage.get(self, owner_id) == ciphertext
            self._call("renew")

    storage = Expiring()
    vault = vault_of(storage)
    aside = vault.set_aside("A", RECORD)
    assert aside is not None
    assert vault.give_back("A", aside) == RECORD
    assert vault.replace("B", None, OTHER)
    assert "renew" not in storage.calls
    assert vault.replace("A", RECORD, OTHER)
    storage.set("A", "unreadable")
    assert vault.replace("A", None, RECORD)
    assert storage.calls.count("renew") == 2


def test_no_frame_holds_the_ciphertext_that_is_a_key() -> None:
    vault = KeyVault(MemoryStorage(), None, base_url="https://x.example")
    assert vault._put("A", None, RECORD) == ""


def test_every_failure_says_what_was_tried() -> None:
    tries: tuple[tuple[str, str, Callable[[KeyVault], object]], ...] = (
        ("get", "Saving", lambda vault: vault.replace("A", RECORD, OTHER)),
        ("replace", "Saving", lambda vault: vault.set_aside("A", RECORD)),
        ("replace", "Saving", lambda vault: vault.give_back("A", RECORD)),
        ("get", "Deleting", lambda vault: vault.forget_if("A", RECORD)),
        ("delete_if", "Deleting", lambda vault: vault.forget_if("A", RECORD)),
        ("get", "Reading", lambda vault: vault.is_unreadable("A")),
        ("get", "Reading", lambda vault: vault.connected_at("A")),
        ("get", "Reading", lambda vault: vault.prune("A")),
        ("delete_if", "Deleting", lambda vault: vault.prune("A")),
    )
    for method, action, change in tries:
        storage = Comparing()
        vault = vault_of(storage, max_age=200)
        vault._clock = lambda: 1_800_000_201.0 if method == "delete_if" else 1_800_000_000.0  # noqa: B023
        storage.failing = {method}
        with case((method, action)), pytest.raises(KeyStorageError) as raised:
            change(vault)
        assert str(raised.value) == f"{action} the key failed: the storage raised OSError."


def test_every_failure_of_a_move_says_what_was_tried() -> None:
    for method, action in (("add", "Saving"), ("replace", "Saving"), ("delete_if", "Deleting")):
        storage = Comparing()
        vault = vault_of(storage)
        storage.failing = {method}
        with case(method), pytest.raises(KeyStorageError) as raised:
            vault.move("A", "B", RECORD)
        assert str(raised.value) == f"{action} the key failed: the storage raised OSError."


def test_a_storage_that_is_not_configured_says_what_to_do() -> None:
    vault = vault_of(storage := Comparing())
    storage.get = failing  # type: ignore[method-assign]
    with pytest.raises(KeyStorageError) as raised:
        vault.load("A")
    assert str(raised.value) == (
        "Reading the key failed: the storage raised ConfigurationError. Do this."
    )


def failing(owner_id: str) -> str:
    raise ConfigurationError("Do this.")


def test_only_a_storage_that_a_request_waits_for_is_given_up(
    app: Flask, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Keys in cookies are in the request."""
    now = [1_000.0]
    for module in ("patience", "calls"):
        monkeypatch.setattr(f"flask_openrouter.storage.{module}.monotonic", lambda: now[0])

    class Slow(Comparing):
        def _call(self, name: str) -> None:
            now[0] += 3 if self.failing else 0
            super()._call(name)

    class InCookie(Slow):
        purpose = "api_key in cookie"

    for kind, calls in ((Slow, 1), (InCookie, 2)):
        storage = kind()
        vault = vault_of(storage)
        storage.failing = {"get"}
        storage.calls.clear()
        with app.test_request_context():
            for _ in range(2):
                with pytest.raises(KeyStorageError):
                    vault.load("A")
        assert len(storage.calls) == calls


def test_the_ages_have_the_words_of_the_command() -> None:
    assert {age.name: age.value for age in Age} == {
        "PAST": "past their age",
        "CURRENT": "kept",
        "UNREADABLE": "unreadable",
        "GONE": "gone meanwhile",
    }
