"""The door to stored keys: each opens for its owner only, and failures say nothing secret."""

from __future__ import annotations

import logging
import traceback
from collections.abc import Callable
from typing import Any

import pytest
from leaks import leaks_in

from flask_openrouter.errors import KeyStorageError
from flask_openrouter.storage.cipher import KeyCipher
from flask_openrouter.storage.memory import MemoryStorage
from flask_openrouter.storage.record import KeyRecord
from flask_openrouter.storage.vault import KeyVault, Outcome

KEY = "sk-or-v1-" + "4" * 64
RECORD = KeyRecord(KEY, "user_1", 1_800_000_000)
OLD, NEW = b"the old key material", b"the new key material"


class PlainStorage:
    """Three methods, as a third party writes them, and a hook into each of them."""

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
    """Writes only over what it was shown."""

    def replace(self, owner_id: str, ciphertext: str, new_ciphertext: str) -> bool:
        if self.kept.get(owner_id) != ciphertext:
            return False
        self.kept[owner_id] = new_ciphertext
        return True


def vault(storage: Any, *material: bytes, **options: Any) -> KeyVault:
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


def test_what_earlier_releases_stored_still_opens() -> None:
    """Any other context would disconnect everybody."""
    storage = PlainStorage()
    context = b"api_key\0https://openrouter.ai\0A"
    storage.kept["A"] = KeyCipher([NEW]).encrypt(RECORD.to_bytes(), context)
    assert vault(storage).load("A") == RECORD


@pytest.mark.parametrize("max_age", [None, 100])
def test_a_record_counts_for_as_long_as_it_may(max_age: int | None) -> None:
    now = [RECORD.connected_at]
    keys = vault(MemoryStorage(), max_age=max_age, clock=lambda: now[0])
    keys.save("A", RECORD)
    now[0] += 100
    assert keys.load("A") == RECORD
    now[0] += 1
    assert keys.load("A") == (RECORD if max_age is None else None)


def test_the_clock_is_the_real_one_by_default() -> None:
    keys = vault(MemoryStorage(), max_age=100)
    keys.save("A", KeyRecord(KEY, None, 253_402_300_799))
    assert keys.load("A") is not None
    with pytest.raises(KeyStorageError, match="give back"):
        keys.save("A", KeyRecord(KEY, None, 1))


@pytest.mark.parametrize("stored", ["", "x", b"x", 7, [], {}, KEY, RECORD.to_json()])
def test_what_does_not_open_is_no_key_and_is_kept(
    stored: Any, caplog: pytest.LogCaptureFixture
) -> None:
    storage = PlainStorage()
    storage.kept["alice"] = stored
    with caplog.at_level(logging.WARNING):
        assert vault(storage).load("alice") is None
    assert "does not open" in caplog.text
    assert "alice" not in caplog.text
    assert storage.kept == {"alice": stored}


@pytest.mark.parametrize("is_encrypted", [True, False])
@pytest.mark.parametrize("method", ["get", "set", "delete"])
@pytest.mark.parametrize("error", [OSError("down"), ValueError(), KeyError("A"), RecursionError()])
def test_a_failing_storage_is_reported_in_one_way(
    method: str, error: Exception, is_encrypted: bool
) -> None:
    storage = PlainStorage(**{method: failing(error)})
    cipher = KeyCipher([NEW]) if is_encrypted else None
    keys = KeyVault(storage, cipher, base_url="https://x.example")
    actions = {
        "get": [lambda: keys.load("A"), lambda: keys.probe("A"), lambda: keys.reencrypt("A")],
        "set": [lambda: keys.save("A", RECORD)],
        "delete": [lambda: keys.forget("A")],
    }
    for action in actions[method]:
        with pytest.raises(KeyStorageError, match=type(error).__name__) as caught:
            action()
        # Without encryption its frames hold the key.
        assert caught.value.__cause__ is (error if is_encrypted else None)
        assert caught.value.__context__ is None


@pytest.mark.requirement("R95")
@pytest.mark.parametrize("error", [KeyboardInterrupt(), SystemExit(), GeneratorExit()])
def test_who_stops_the_process_is_not_held_up(error: BaseException) -> None:
    with pytest.raises(type(error)):
        vault(PlainStorage(get=failing(error))).load("A")


def _keeps_nothing(*_: object) -> None: ...


@pytest.mark.requirement("R95")
@pytest.mark.parametrize(
    "change",
    [
        pytest.param(lambda kept, text: None, id="nothing"),
        pytest.param(lambda kept, text: kept.update(B=text), id="elsewhere"),
        pytest.param(lambda kept, text: kept.update(A=text[:-1]), id="cut"),
        pytest.param(lambda kept, text: kept.update(A=text.lower()), id="in lower case"),
        pytest.param(lambda kept, text: kept.update(A=text.encode()), id="bytes"),
        pytest.param(lambda kept, text: kept.update(A=text + " "), id="padded"),
    ],
)
def test_only_what_can_be_read_back_counts_as_saved(change: Any) -> None:
    storage = PlainStorage(set=lambda owner_id, text: change(storage.kept, text))
    with pytest.raises(KeyStorageError, match="give back"):
        vault(storage).save("A", RECORD)


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


class TestReencryption:
    def test_only_what_a_fallback_opened_is_written(self) -> None:
        storage = MemoryStorage()
        vault(storage, OLD).save("A", RECORD)
        vault(storage, NEW).save("B", RECORD)
        storage.set("C", "nonsense")
        kept = storage.get("B")
        keys = vault(storage, NEW, OLD)
        assert keys.reencrypt("A") is Outcome.ROTATED
        assert keys.reencrypt("A") is Outcome.CURRENT
        assert keys.reencrypt("B") is Outcome.CURRENT
        assert keys.reencrypt("C") is Outcome.UNREADABLE
        assert keys.reencrypt("D") is Outcome.GONE
        assert vault(storage, NEW).load("A") == RECORD
        assert storage.get("B") == kept
        assert storage.get("C") == "nonsense"

    def test_a_row_of_another_owner_is_not_made_readable(self) -> None:
        storage = MemoryStorage()
        vault(storage, OLD).save("A", RECORD)
        storage.set("B", storage.get("A") or "")
        assert vault(storage, NEW, OLD).reencrypt("B") is Outcome.UNREADABLE

    def test_without_encryption_there_is_nothing_to_do(self) -> None:
        storage = MemoryStorage()
        keys = KeyVault(storage, None, base_url="https://x.example")
        keys.save("A", RECORD)
        assert keys.reencrypt("A") is Outcome.CURRENT

    def test_what_is_no_text_is_unreadable(self) -> None:
        storage = PlainStorage()
        storage.kept["A"] = b"bytes"
        assert vault(storage).reencrypt("A") is Outcome.UNREADABLE

    @pytest.mark.parametrize("kind", [PlainStorage, MemoryStorage, Replacing])
    def test_a_key_that_is_saved_meanwhile_wins(self, kind: Any) -> None:
        newer = KeyRecord("sk-or-v1-" + "5" * 64, None, 1_800_000_001)
        storage = kind()
        vault(storage, OLD).save("A", RECORD)
        read, reads = storage.get, []

        def get(owner_id: str) -> Any:
            stored = read(owner_id)
            reads.append(stored)
            if len(reads) == 1:
                vault(storage, NEW, OLD).storage.set("A", sealed)
            return stored

        other = kind()
        vault(other, NEW).save("A", newer)
        sealed = other.get("A")
        storage.get = get
        assert vault(storage, NEW, OLD).reencrypt("A") is Outcome.CURRENT
        assert vault(storage, NEW).load("A") == newer

    @pytest.mark.parametrize("kind", [PlainStorage, MemoryStorage, Replacing])
    def test_what_did_not_change_meanwhile_is_written(self, kind: Any) -> None:
        storage = kind()
        vault(storage, OLD).save("A", RECORD)
        assert vault(storage, NEW, OLD).reencrypt("A") is Outcome.ROTATED
        assert vault(storage, NEW).load("A") == RECORD


def test_a_back_end_that_never_replaces_does_not_keep_a_rotation_for_ever() -> None:
    class Stubborn(MemoryStorage):
        tries = 0

        def replace(self, owner_id: str, old: str, new: str) -> bool:
            self.tries += 1
            return False

    storage = Stubborn()
    vault(storage, OLD).save("A", RECORD)
    message = r"^The key changed again and again while it was to be re-encrypted\.$"
    with pytest.raises(KeyStorageError, match=message):
        vault(storage, NEW, OLD).reencrypt("A")
    assert storage.tries == 10
