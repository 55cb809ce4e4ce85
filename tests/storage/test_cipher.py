"""The ciphertext: it decrypts only with its key and its context, and has one spelling.

(OWASP ASVS 5.0, 11.2 and 11.3; NIST SP 800-38D.)
"""

from __future__ import annotations

import base64
import itertools
import runpy
import subprocess
import sys

import pytest
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from hypothesis import example, given, settings
from hypothesis import strategies as st

from flask_openrouter.storage.cipher import KeyCipher, bound_to

MATERIAL = b"sixteen bytes at least"
CIPHER = KeyCipher([MATERIAL])
CIPHERTEXT = CIPHER.encrypt(b"plaintext", b"context")


@settings(deadline=None)
@given(st.binary(max_size=600), st.binary(max_size=60), st.binary(min_size=16, max_size=64))
def test_what_was_encrypted_is_decrypted(plaintext: bytes, context: bytes, key: bytes) -> None:
    cipher = KeyCipher([key])
    ciphertext = cipher.encrypt(plaintext, context)
    assert cipher.decrypt(ciphertext, context) == plaintext
    assert cipher.is_current(ciphertext, context)
    assert set(ciphertext) <= set(
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
    )


@settings(deadline=None)
@given(st.binary(max_size=60), st.binary(max_size=60))
def test_another_context_does_not_decrypt_it(one: bytes, other: bytes) -> None:
    opened = CIPHER.decrypt(CIPHER.encrypt(b"plaintext", one), other)
    assert opened == (b"plaintext" if one == other else None)


@settings(deadline=None)
@given(st.binary(min_size=16, max_size=64))
def test_another_key_does_not_decrypt_it(key: bytes) -> None:
    assert (KeyCipher([key]).decrypt(CIPHERTEXT, b"context") is None) is (key != MATERIAL)


@settings(deadline=None)
@given(st.data())
def test_no_change_goes_unnoticed(data: st.DataObject) -> None:
    """Base64 has many spellings of the same bytes. Only one of them decrypts."""
    start = data.draw(st.integers(0, len(CIPHERTEXT)))
    end = data.draw(st.integers(start, min(len(CIPHERTEXT), start + 4)))
    piece = data.draw(st.text(st.sampled_from("AB-_+/=\n .é\0\ud800"), max_size=4))
    changed = CIPHERTEXT[:start] + piece + CIPHERTEXT[end:]
    opened = CIPHER.decrypt(changed, b"context")
    assert (opened is None) is (changed != CIPHERTEXT)


def test_the_last_letter_has_one_spelling() -> None:
    for length in range(60):
        ciphertext = CIPHER.encrypt(b"x" * length, b"")
        for letter in "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_+/=":
            changed = ciphertext[:-1] + letter
            is_refused = CIPHER.decrypt(changed, b"") is None
            assert is_refused is (changed != ciphertext), (length, letter)


def test_a_ciphertext_has_no_padding_and_no_letters_of_the_other_alphabet() -> None:
    for length in range(60):
        ciphertext = CIPHER.encrypt(b"x" * length, b"")
        padded = ciphertext + "=" * (-len(ciphertext) % 4)
        for changed in {padded, ciphertext.replace("-", "+"), ciphertext.replace("_", "/")}:
            assert (CIPHER.decrypt(changed, b"") is None) is (changed != ciphertext)


@settings(deadline=None)
@given(st.text())
@example("")
@example("AQ")
@example("AQ" + "A" * 37)
@example("=" * 40)
def test_any_other_text_does_not_decrypt(text: str) -> None:
    assert CIPHER.decrypt(text, b"context") is None
    assert not CIPHER.is_current(text, b"context")


def test_base64_text_of_any_length_does_not_decrypt() -> None:
    """Text that is shorter than a nonce and a tag must not reach the cipher's own checks."""
    decrypted = {length: CIPHER.decrypt("AQ" + "A" * length, b"context") for length in range(60)}
    assert decrypted == dict.fromkeys(range(60))


def test_no_ciphertext_loses_its_last_letter() -> None:
    """It is not padded, so no letter may be stripped as padding."""
    written = [CIPHER.encrypt(b"x", b"") for _ in range(1_500)]
    assert len({ciphertext[-1] for ciphertext in written}) == 64
    assert all(CIPHER.decrypt(ciphertext, b"") == b"x" for ciphertext in written)


def test_the_newest_key_encrypts_and_all_decrypt() -> None:
    new, old = KeyCipher([b"a new key of 16+ bytes"]), CIPHER
    both = KeyCipher([b"a new key of 16+ bytes", MATERIAL])
    written = both.encrypt(b"plaintext", b"")
    assert new.decrypt(written, b"") == b"plaintext"
    assert old.decrypt(written, b"") is None
    assert both.is_current(written, b"")
    earlier = old.encrypt(b"plaintext", b"")
    assert both.decrypt(earlier, b"") == b"plaintext"
    assert not both.is_current(earlier, b"")


def test_another_version_is_not_read() -> None:
    """Even if the writer held the key."""
    key = HKDF(SHA256(), length=32, salt=None, info=b"flask_openrouter key v1").derive(MATERIAL)
    nonce = bytes(12)
    body = nonce + AESGCM(key).encrypt(nonce, b"plaintext", b"context")
    for version in (b"\x00", b"\x02", b"\x81"):
        text = base64.urlsafe_b64encode(version + body).rstrip(b"=").decode()
        assert CIPHER.decrypt(text, b"context") is None
    text = base64.urlsafe_b64encode(b"\x01" + body).rstrip(b"=").decode()
    assert CIPHER.decrypt(text, b"context") == b"plaintext"


def test_contexts_differ_when_any_part_does() -> None:
    parts = [
        bound_to(purpose, base_url, owner_id)
        for purpose, base_url, owner_id in itertools.product(
            ("api_key", "api_key in cookie", "unsaved"),
            ("https://openrouter.ai", "http://127.0.0.1:3001"),
            ("", "A", "a", "A\0", "browser:A", "é", "e\u0301"),
        )
    ]
    assert len(set(parts)) == len(parts)


def test_an_owner_id_that_cannot_be_encoded_has_a_context() -> None:
    assert bound_to("api_key", "https://openrouter.ai", "\ud800").startswith(b"api_key\0https")


@pytest.mark.requirement("R83")
def test_without_cryptography_the_error_names_the_remedy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "cryptography.exceptions", None)
    with pytest.raises(ImportError) as raised:
        runpy.run_path(sys.modules[KeyCipher.__module__].__file__ or "")
    assert str(raised.value) == (
        "Flask-OpenRouter encrypts keys with the cryptography package and never does without it:"
        " pip install cryptography"
    )


@pytest.mark.requirement("R87")
def test_ten_thousand_encryptions_are_all_different() -> None:
    sealed = {CIPHER.encrypt(b"x" * 80, b"context") for _ in range(10_000)}
    assert len(sealed) == 10_000
    nonces = {base64.urlsafe_b64decode(text + "==")[1:13] for text in sealed}
    assert len(nonces) == 10_000


@pytest.mark.requirement("R87", "F46")
def test_workers_forked_from_one_process_share_no_nonces() -> None:
    program = (
        "import os, random\n"
        "from flask_openrouter.storage.cipher import KeyCipher\n"
        "cipher = KeyCipher([b'0123456789abcdef'])\n"
        "cipher.encrypt(b'x', b'')\n"
        "for _ in range(4):\n"
        "    if os.fork() == 0:\n"
        "        random.seed(0)\n"
        "        text = ''.join(cipher.encrypt(b'x', b'')[:18] + '\\n' for _ in range(500))\n"
        "        os.write(1, text.encode())\n"
        "        os._exit(0)\n"
        "for _ in range(4):\n"
        "    os.wait()\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    lines = done.stdout.split()
    assert len(lines) == len(set(lines)) == 2_000
