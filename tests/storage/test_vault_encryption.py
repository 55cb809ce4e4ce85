"""Stored keys of an app: encrypted for one owner, one place, one purpose and one provider.

(OWASP ASVS 5.0, 11.2 and 11.3; NIST SP 800-38D.)
"""

from __future__ import annotations

import base64
import hashlib
import json
import os
from typing import Any

import pytest
from attack import browser_with, save_jar
from cryptography.fernet import Fernet
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from flask import Flask
from itsdangerous import URLSafeSerializer
from visitor import Visitor, fingerprint

from flask_openrouter.emulator import Emulator
from flask_openrouter.storage import KeyStorage
from flask_openrouter.storage.cipher import KeyCipher, bound_to
from flask_openrouter.storage.memory import MemoryStorage
from flask_openrouter.storage.record import KeyRecord

SECRET = "the secret key of this test's apps"
OWN_KEY = "sk-or-v1-" + "3" * 64


class StoredKey:
    """The stored key of a user of an app. The test signs the user in, and may replace the key."""

    def __init__(self, app: Flask, user_id: str) -> None:
        self.visitor = Visitor(app)
        self.user_id = user_id
        self._app = app
        self._tag = "~" + hashlib.sha256(user_id.encode()).hexdigest()[:12]

    def sign_in(self) -> Visitor:
        self._app.extensions["openrouter"].app_functions.owner_loader = lambda: self.user_id
        return self.visitor

    @property
    def key(self) -> str | None:
        return self.sign_in().key

    @property
    def ciphertext(self) -> str:
        if self._storage is None:
            return save_jar(self.visitor)["openrouter"].partition(".")[2]
        return self._storage.get(self.user_id) or ""

    @ciphertext.setter
    def ciphertext(self, value: str) -> None:
        if self._storage is None:
            self.visitor.client.set_cookie("openrouter", f"{self._tag}.{value}")
        else:
            self._storage.set(self.user_id, value)

    @property
    def _storage(self) -> KeyStorage | None:
        storage: KeyStorage = self._app.extensions["openrouter"].vault.storage
        return None if type(storage).__name__ == "CookieStorage" else storage


def connected(app: Flask, emulator: Emulator, user_id: str = "A") -> StoredKey:
    kept = StoredKey(app, user_id)
    kept.sign_in().connect(emulator)
    assert kept.key is not None
    return kept


@pytest.mark.requirement("R84")
def test_values_swapped_between_owners_do_not_decrypt(
    stored_apps: Any, emulator: Emulator, caplog: pytest.LogCaptureFixture
) -> None:
    app = stored_apps()
    one, two = connected(app, emulator, "A"), connected(app, emulator, "B")
    one.ciphertext, two.ciphertext = two.ciphertext, one.ciphertext
    assert one.key is None
    assert two.key is None
    assert "does not open" in caplog.text
    one.ciphertext, two.ciphertext = two.ciphertext, one.ciphertext
    assert None not in (one.key, two.key)


@pytest.mark.requirement("R84", "R105")
def test_another_base_url_does_not_decrypt_it(stored_apps: Any, emulator: Emulator) -> None:
    kept = connected(stored_apps(SECRET_KEY=SECRET), emulator)
    elsewhere = stored_apps(SECRET_KEY=SECRET, OPENROUTER_BASE_URL="http://127.0.0.1:9")
    moved = StoredKey(elsewhere, "A")
    moved.visitor = browser_with(elsewhere, save_jar(kept.visitor))
    assert moved.key is None
    assert kept.key is not None


@pytest.mark.requirement("R84")
def test_a_row_of_a_database_does_not_decrypt_in_a_cookie(
    make_app: Any, emulator: Emulator
) -> None:
    """A stolen row must not connect a browser to an app with the same secrets and cookies."""
    storage = MemoryStorage()
    server_side = make_app({"storage": storage}, SECRET_KEY=SECRET)
    in_cookies = make_app(SECRET_KEY=SECRET)
    Visitor(server_side).connect(emulator)
    (owner_id,) = storage.owner_ids()
    stolen = f"{owner_id.removeprefix('browser:')}.{storage.get(owner_id)}"
    assert browser_with(in_cookies, {"openrouter": stolen}).key is None


@pytest.mark.requirement("R84")
def test_a_cookie_does_not_decrypt_in_a_database(make_app: Any, emulator: Emulator) -> None:
    storage = MemoryStorage()
    kept = connected(make_app(SECRET_KEY=SECRET), emulator)
    moved = StoredKey(make_app({"storage": storage}, SECRET_KEY=SECRET), "A")
    moved.ciphertext = kept.ciphertext
    assert moved.key is None


@pytest.mark.requirement("R84")
def test_what_was_encrypted_for_another_purpose_does_not_decrypt(
    make_app: Any, emulator: Emulator
) -> None:
    app = make_app(SECRET_KEY=SECRET)
    kept = connected(app, emulator)
    record = KeyRecord(OWN_KEY, None, 1_800_000_000)
    cipher = KeyCipher([SECRET.encode()])
    for purpose in ("unsaved", "api_key", "login", ""):
        kept.ciphertext = cipher.encrypt(record.to_bytes(), bound_to(purpose, emulator.url, "A"))
        assert kept.key is None, purpose
    right = bound_to("api_key in cookie", emulator.url, "A")
    kept.ciphertext = cipher.encrypt(record.to_bytes(), right)
    assert kept.key == fingerprint(OWN_KEY), "the test knows the format"


@pytest.mark.requirement("R85")
def test_every_change_is_noticed(stored_apps: Any, emulator: Emulator) -> None:
    kept = connected(stored_apps(), emulator)
    genuine = kept.ciphertext
    visitor = kept.sign_in()
    step = 1 if stored_apps.kind in ("cookie", "memory") else 7
    changed = [genuine[:length] for length in range(0, len(genuine), step)]
    for place in range(0, len(genuine), step):
        for letter in {chr(ord(genuine[place]) ^ 1), "A", "_"} - {genuine[place]}:
            changed.append(genuine[:place] + letter + genuine[place + 1 :])
    changed += [genuine + tail for tail in ("A", "=", "==", "\n", " ", ".", "AAAA")]
    responses = set()
    for ciphertext in changed:
        kept.ciphertext = ciphertext
        page = visitor.get("/guarded")
        responses.add((page.status_code, page.location, page.data))
    assert len(responses) == 1, "all changes have one response"
    assert responses.pop()[0] == 303
    kept.ciphertext = genuine
    assert kept.key is not None


@pytest.mark.requirement("R85")
def test_anything_but_a_ciphertext_from_a_storage_counts_as_no_key(make_app: Any) -> None:
    class Odd(MemoryStorage):
        stored: Any = None

        def get(self, owner_id: str) -> str | None:
            return self.stored  # type: ignore[no-any-return]

    storage = Odd()
    visitor = StoredKey(make_app({"storage": storage}), "A").sign_in()
    texts = ("", "\0", "é", "AQ", "Ag" + "A" * 60, "AQ" + "A" * 60)
    for stored in (*texts, None, b"", b"AQ", 0, {}, []):
        storage.stored = stored
        page = visitor.get("/guarded")
        found = (page.status_code, page.location)
        assert found == (303, "/openrouter/login?next=/guarded"), stored


def _older_formats(secret: str) -> dict[str, str]:
    record = KeyRecord(OWN_KEY, None, 1_800_000_000)
    context = bound_to("api_key", "https://openrouter.ai", "A")
    current = KeyCipher([secret.encode()]).encrypt(record.to_bytes(), context)
    sealed = bytearray(base64.urlsafe_b64decode(current + "=="))
    sealed[0] = 0
    return {
        "the key": OWN_KEY,
        "base64": base64.b64encode(OWN_KEY.encode()).decode(),
        "base64url": base64.urlsafe_b64encode(OWN_KEY.encode()).decode(),
        "JSON": record.to_json(),
        "base64 of JSON": base64.b64encode(record.to_json().encode()).decode(),
        "compressed only": base64.urlsafe_b64encode(record.to_bytes()).decode(),
        "with our version": base64.urlsafe_b64encode(b"\x01" + record.to_bytes()).decode(),
        "signed only": str(URLSafeSerializer(secret).dumps(json.loads(record.to_json()))),
        "another version": base64.urlsafe_b64encode(sealed).rstrip(b"=").decode(),
    }


def _other_ciphers(secret: str) -> dict[str, str]:
    record = KeyRecord(OWN_KEY, None, 1_800_000_000)
    raw, digest = secret.encode()[:32].ljust(32, b"="), hashlib.sha256(secret.encode()).digest()
    context = bound_to("api_key", "https://openrouter.ai", "A")
    found = {}
    for name, key in (("the raw key", raw), ("its hash", digest)):
        fernet = Fernet(base64.urlsafe_b64encode(key))
        found[f"Fernet with {name}"] = fernet.encrypt(record.to_json().encode()).decode()
        nonce = os.urandom(12)
        sealed = b"\x01" + nonce + AESGCM(key).encrypt(nonce, record.to_bytes(), context)
        found[f"AES with {name}"] = base64.urlsafe_b64encode(sealed).rstrip(b"=").decode()
    return found


@pytest.mark.requirement("R86", "R88")
def test_nothing_weaker_is_accepted(make_app: Any) -> None:
    """Such as plaintext, other formats, and other ciphers with the key that signs sessions."""
    storage = MemoryStorage()
    app = make_app(
        {"storage": storage},
        SECRET_KEY=SECRET,
        OPENROUTER_BASE_URL="https://openrouter.ai",
    )
    kept = StoredKey(app, "A")
    accepted = {}
    for kind, text in {**_older_formats(SECRET), **_other_ciphers(SECRET)}.items():
        storage.set("A", text)
        accepted[kind] = kept.key
    assert accepted == dict.fromkeys(accepted)


@pytest.mark.requirement("R86")
def test_plain_records_are_not_used_once_encryption_is_on(
    make_app: Any, emulator: Emulator
) -> None:
    storage = MemoryStorage()
    clear = connected(make_app({"storage": storage, "encrypt": False}), emulator)
    assert "sk-or-v1-" in clear.ciphertext
    assert StoredKey(make_app({"storage": storage}), "A").key is None


@pytest.mark.requirement("R86")
def test_ciphertext_is_not_used_once_encryption_is_off(make_app: Any, emulator: Emulator) -> None:
    storage = MemoryStorage()
    connected(make_app({"storage": storage}), emulator)
    assert StoredKey(make_app({"storage": storage, "encrypt": False}), "A").key is None
