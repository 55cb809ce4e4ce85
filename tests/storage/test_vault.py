"""Stored keys: each decrypts for its owner only. Failures are reported without secrets."""

from __future__ import annotations

import itertools
import logging
import traceback
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from cases import case
from leaks import leaks_in

from flask_openrouter.errors import KeyStorageError
from flask_openrouter.storage.cipher import KeyCipher
from flask_openrouter.storage.memory import MemoryStorage
from flask_openrouter.storage.outcomes import Outcome
from flask_openrouter.storage.record import KeyRecord
from flask_openrouter.storage.vault import KeyVault

KEY = "sk-or-v1-" + "4" * 64
RECORD = KeyRecord(KEY, "user_1", 1_800_000_000)
OLD, NEW = b"the old key material", b"the new key material"


class PlainStorage:
    """The three methods that an app's own storage has. A hook can replace each."""

    def __init__(self, **hooks: Callable[..., Any]) -> None:
        self.kept: dict[str, Any] = {}
        self.hooks = hooks

    def get(self, owner_id: str) -> Any:
        return self.hooks.get("get", self.kept.get)(owner_id)

    def set(self, owner_id: str, ciphertext: str) -> None:
        self.hooks.get("set", self.kept.__setitem__)(owner_id, ciphertext)

    def delete(self, owner_id: str) -> None:
        self.hooks.get("delete", lambda owner_id: self.kept.pop(owner_id, None))(owner_id)


class Replacing(PlainStorage):
    """Has ``replace``, too, which writes only over the given value."""

    def replace(self, owner_id: str, ciphertext: str, new_ciphertext: str) -> bool:
        if self.kept.get(owner_id) != ciphertext:
            return False
        self.kept[owner_id] = new_ciphertext
        return True


def vault_of(storage: Any, *material: bytes, **options: Any) -> KeyVault:
    cipher = KeyCipher(material or [NEW])
    return KeyVault(storage, cipher, **{"base_url": "https://openrouter.ai", **options})


def failing(error: BaseException) -> Callable[..., Any]:
    def fail(*_: object) -> None:
        raise error

    return fail


@pytest.mark.parametrize("is_encrypted", [True, False])
def test_a_key_is_saved_loaded_and_forgotten(is_encrypted: bool) -> None:
    storage = MemoryStorage()
    keys = KeyVault(
        storage, KeyCipher([NEW]) if is_encrypted else None, base_url="https://x.example"
    )
    assert keys.is_encrypting is is_encrypted
    assert keys.load("A") is None
    assert keys.probe("A") is False
    keys.save("A", RECORD)
    assert keys.load("A") == RECORD
    assert keys.load("B") is None
    assert keys.probe("A") is True
    assert (KEY in (storage.get("A") or "")) is not is_encrypted
    keys.forget("A")
    keys.forget("A")
    assert keys.load("A") is None


def test_what_earlier_releases_stored_still_decrypts() -> None:
    """Any other context would disconnect all visitors."""
    storage = PlainStorage()
    context = b"api_key\0https://openrouter.ai\0A"
    storage.kept["A"] = KeyCipher([NEW]).encrypt(RECORD.to_bytes(), context)
    assert vault_of(storage).load("A") == RECORD


def test_an_apps_own_storage_may_have_any_text_as_owner_id() -> None:
    vault = vault_of(PlainStorage())
    vault.save("half \ud800", RECORD)
    assert vault.load("half \ud800") == RECORD


@pytest.mark.parametrize("max_age", [None, 100])
def test_a_record_is_valid_until_its_maximum_age(max_age: int | None) -> None:
    now = [RECORD.connected_at]
    keys = vault_of(MemoryStorage(), max_age=max_age, clock=lambda: now[0])
    keys.save("A", RECORD)
    now[0] += 100
    assert keys.load("A") == RECORD
    now[0] += 1
    assert keys.load("A") == (RECORD if max_age is None else None)


def test_the_clock_is_the_real_one_by_default() -> None:
    keys = vault_of(MemoryStorage(), max_age=100)
    keys.save("A", KeyRecord(KEY, None, 253_402_300_799))
    assert keys.load("A") is not None
    with pytest.raises(KeyStorageError, match="give back"):
        keys.save("A", KeyRecord(KEY, None, 1))


def test_what_does_not_decrypt_is_logged_and_kept(caplog: pytest.LogCaptureFixture) -> None:
    for stored in ("", "x", b"x", 7, [], {}, KEY, RECORD.to_json()):
        storage = PlainStorage()
        storage.kept["alice"] = stored
        caplog.clear()
        assert vault_of(storage).load("alice") is None, stored
        assert caplog.record_tuples == [
            (
                "flask_openrouter",
                logging.WARNING,
                "What is stored for this owner does not open; treated as not connected."
                " [owner 2bd806c97f0e]",
            )
        ], stored
        assert storage.kept == {"alice": stored}


def test_a_failing_storage_is_reported_with_what_was_tried() -> None:
    ciphers = (KeyCipher([NEW]), None)
    errors = (OSError("down"), ValueError(), KeyError("A"), RecursionError())
    for cipher, error in itertools.product(ciphers, errors):
        storage = PlainStorage(**dict.fromkeys(("get", "set", "delete"), failing(error)))
        keys = KeyVault(storage, cipher, base_url="https://x.example")
        actions: dict[str, list[Callable[[], object]]] = {
            "Reading": [
                lambda keys=keys: keys.load("A"),
                lambda keys=keys: keys.probe("A"),
                lambda keys=keys: keys.reencrypt("A"),
            ],
            "Saving": [lambda keys=keys: keys.save("A", RECORD)],
            "Deleting": [lambda keys=keys: keys.forget("A")],
        }
        for name, action in [(each, action) for each in actions for action in actions[each]]:
            with pytest.raises(KeyStorageError) as caught:
                action()
            assert str(caught.value) == (
                f"{name} the key failed: the storage raised {type(error).__name__}."
            )
            # Without encryption its frames hold the key.
            assert caught.value.__cause__ is (None if cipher is None else error)
            assert caught.value.__context__ is None


def test_a_storage_that_fails_in_a_rotation_was_saving() -> None:
    class ReadOnly(MemoryStorage):
        def replace(self, owner_id: str, ciphertext: str, new_ciphertext: str) -> bool:
            raise OSError("read-only")

    storage = ReadOnly()
    vault_of(storage, OLD).save("A", RECORD)
    with pytest.raises(KeyStorageError) as caught:
        vault_of(storage, NEW, OLD).reencrypt("A")
    assert str(caught.value) == "Saving the key failed: the storage raised OSError."


@pytest.mark.requirement("R95")
def test_exceptions_that_stop_the_process_pass_through() -> None:
    for error in (KeyboardInterrupt(), SystemExit(), GeneratorExit()):
        with pytest.raises(type(error)):
            vault_of(PlainStorage(get=failing(error))).load("A")


@pytest.mark.requirement("R95")
def test_only_a_key_that_can_be_read_back_counts_as_saved() -> None:
    changes: dict[str, Callable[[dict[str, Any], str], None]] = {
        "nothing": lambda kept, text: None,
        "elsewhere": lambda kept, text: kept.update(B=text),
        "cut": lambda kept, text: kept.update(A=text[:-1]),
        "in lower case": lambda kept, text: kept.update(A=text.lower()),
        "bytes": lambda kept, text: kept.update(A=text.encode()),
        "padded": lambda kept, text: kept.update(A=text + " "),
    }
    for name, change in changes.items():
        storage = PlainStorage()
        storage.hooks["set"] = lambda _, text, c=change, s=storage: c(s.kept, text)
        with pytest.raises(KeyStorageError) as caught:
            vault_of(storage).save("A", RECORD)
        assert str(caught.value) == "The storage did not give back the key that was saved.", name


def test_a_key_that_another_login_replaces_at_once_was_saved() -> None:
    """Two logins of one user: each reads back what the other has saved."""
    for later in (0, 1):
        other = replace(RECORD, api_key=f"sk-or-v1-{'5' * 64}", connected_at=1_800_000_000 + later)
        storage = PlainStorage()
        storage.hooks["set"] = lambda owner_id, text, s=storage: s.kept.update({owner_id: text})
        vault_of(storage).save("A", other)
        theirs = storage.kept["A"]
        storage.hooks["set"] = lambda owner_id, _, s=storage, t=theirs: s.kept.update({owner_id: t})
        vault_of(storage).save("A", RECORD)
        assert vault_of(storage).load("A") == other
        with pytest.raises(KeyStorageError, match="give back"):
            # One from before: the storage kept what it had.
            vault_of(storage).save("A", replace(RECORD, connected_at=1_800_000_002))


def test_a_storage_that_saves_nothing_is_noticed_without_encryption() -> None:
    keys = KeyVault(PlainStorage(set=lambda *_: None), None, base_url="https://x.example")
    with pytest.raises(KeyStorageError, match="give back"):
        keys.save("A", RECORD)


@pytest.mark.parametrize("is_encrypted", [True, False])
@pytest.mark.parametrize("method", ["get", "set"])
def test_no_traceback_of_a_failed_save_shows_the_key(method: str, is_encrypted: bool) -> None:
    """An error reporter captures the locals of every frame, and those of the causes."""
    storage = PlainStorage(**{method: failing(OSError("down"))})
    cipher = KeyCipher([NEW]) if is_encrypted else None
    keys = KeyVault(storage, cipher, base_url="https://x.example")
    with pytest.raises(KeyStorageError) as caught:
        keys.save("A", RECORD)
    shown = traceback.TracebackException.from_exception(caught.value, capture_locals=True)
    inside = [line for line in shown.format() if "test_vault.py" not in line]
    assert leaks_in("".join(inside), {"key": KEY}) == []


class Stop(BaseException):
    """As gevent.Timeout and SystemExit are: no Exception."""


@pytest.mark.parametrize("kind", [Stop, OSError])
def test_no_traceback_shows_a_key_that_is_stored_in_the_clear(kind: type[BaseException]) -> None:
    class Stopping(MemoryStorage):
        stopped: tuple[str, ...] = ()

        def __getattribute__(self, name: str) -> Any:
            if name in super().__getattribute__("stopped"):
                return failing(kind())
            return super().__getattribute__(name)

    aside = replace(RECORD, rejected_at=1_800_000_000)
    tries: tuple[tuple[str, KeyRecord, Callable[[KeyVault], object]], ...] = (
        ("get", RECORD, lambda vault: vault.load("A")),
        ("set", RECORD, lambda vault: vault.save("A", RECORD)),
        ("replace", RECORD, lambda vault: vault.set_aside("A", RECORD)),
        ("delete_if", RECORD, lambda vault: vault.forget_if("A", RECORD)),
        ("delete_if", aside, lambda vault: vault.prune("A")),
        ("delete_if", aside, lambda vault: vault.load("A")),
    )
    for cipher, (method, record, change) in itertools.product((None, KeyCipher([NEW])), tries):
        storage = Stopping()
        keys = KeyVault(storage, cipher, base_url="https://x.example")
        keys.save("A", record)
        keys._clock = lambda: 1_900_000_000.0
        storage.stopped = (method,)
        with case((method, cipher)):
            try:
                change(keys)
            except (Stop, KeyStorageError) as error:
                shown = traceback.TracebackException.from_exception(error, capture_locals=True)
                assert leaks_in("".join(shown.format()), {"key": KEY}) == []
                is_shown = "in fail" in "".join(shown.format())
                assert is_shown is (cipher is not None)
            else:
                assert (record, kind) == (aside, OSError)


class TestReencryption:
    def test_the_outcomes_have_the_words_of_the_command(self) -> None:
        assert {outcome.name: outcome.value for outcome in Outcome} == {
            "ROTATED": "rotated",
            "CURRENT": "already current",
            "UNREADABLE": "unreadable",
            "GONE": "gone meanwhile",
        }

    def test_only_what_a_fallback_decrypted_is_written(self) -> None:
        storage = MemoryStorage()
        vault_of(storage, OLD).save("A", RECORD)
        vault_of(storage, NEW).save("B", RECORD)
        storage.set("C", "nonsense")
        kept = storage.get("B")
        keys = vault_of(storage, NEW, OLD)
        assert keys.reencrypt("A") is Outcome.ROTATED
        assert keys.reencrypt("A") is Outcome.CURRENT
        assert keys.reencrypt("B") is Outcome.CURRENT
        assert keys.reencrypt("C") is Outcome.UNREADABLE
        assert keys.reencrypt("D") is Outcome.GONE
        assert vault_of(storage, NEW).load("A") == RECORD
        assert storage.get("B") == kept
        assert storage.get("C") == "nonsense"

    def test_a_row_of_another_owner_is_not_made_readable(self) -> None:
        storage = MemoryStorage()
        vault_of(storage, OLD).save("A", RECORD)
        storage.set("B", storage.get("A") or "")
        assert vault_of(storage, NEW, OLD).reencrypt("B") is Outcome.UNREADABLE

    def test_without_encryption_it_does_nothing(self) -> None:
        storage = MemoryStorage()
        keys = KeyVault(storage, None, base_url="https://x.example")
        keys.save("A", RECORD)
        assert keys.reencrypt("A") is Outcome.CURRENT

    def test_bytes_are_unreadable(self) -> None:
        storage = PlainStorage()
        storage.kept["A"] = b"bytes"
        assert vault_of(storage).reencrypt("A") is Outcome.UNREADABLE

    @pytest.mark.parametrize("kind", [PlainStorage, MemoryStorage, Replacing])
    def test_a_key_that_is_saved_meanwhile_wins(self, kind: Any) -> None:
        newer = KeyRecord("sk-or-v1-" + "5" * 64, None, 1_800_000_001)
        storage = kind()
        vault_of(storage, OLD).save("A", RECORD)
        read, reads = storage.get, []

        def get(owner_id: str) -> Any:
            stored = read(owner_id)
            reads.append(stored)
            if len(reads) == 1:
                vault_of(storage, NEW, OLD).storage.set("A", sealed)
            return stored

        other = kind()
        vault_of(other, NEW).save("A", newer)
        sealed = other.get("A")
        storage.get = get
        assert vault_of(storage, NEW, OLD).reencrypt("A") is Outcome.CURRENT
        assert vault_of(storage, NEW).load("A") == newer

    @pytest.mark.parametrize("kind", [PlainStorage, MemoryStorage, Replacing])
    def test_what_did_not_change_meanwhile_is_written(self, kind: Any) -> None:
        storage = kind()
        vault_of(storage, OLD).save("A", RECORD)
        assert vault_of(storage, NEW, OLD).reencrypt("A") is Outcome.ROTATED
        assert vault_of(storage, NEW).load("A") == RECORD


def test_a_storage_that_never_replaces_does_not_delay_a_rotation_for_ever() -> None:
    class Stubborn(MemoryStorage):
        tries = 0

        def replace(self, owner_id: str, old: str, new: str) -> bool:
            self.tries += 1
            return False

    storage = Stubborn()
    vault_of(storage, OLD).save("A", RECORD)
    message = r"^The key changed again and again while it was to be re-encrypted\.$"
    with pytest.raises(KeyStorageError, match=message):
        vault_of(storage, NEW, OLD).reencrypt("A")
    assert storage.tries == 10
