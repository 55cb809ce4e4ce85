"""Authenticated encryption of stored keys: AES-256-GCM, bound to a context."""

from __future__ import annotations

import os
from binascii import a2b_base64, b2a_base64
from collections.abc import Iterable
from typing import Final

try:
    from cryptography.exceptions import InvalidTag
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM
    from cryptography.hazmat.primitives.hashes import SHA256
    from cryptography.hazmat.primitives.kdf.hkdf import HKDF
except ImportError as _missing:
    raise ImportError(
        "Flask-OpenRouter encrypts keys with the cryptography package and never does without it:"
        " pip install cryptography"
    ) from _missing

#: First byte of every ciphertext. A new format gets a new one, so an old one is never misread.
VERSION: Final = b"\x01"
_NONCE_BYTES: Final = 12
_TAG_BYTES: Final = 16
#: Version and nonce.
_HEAD_BYTES: Final = len(VERSION) + _NONCE_BYTES

# Between the two alphabets of base64 (RFC 4648 §4 and §5). We write no "+", "/" or "=", so they
# become what is no letter of either.
_TO_URL_SAFE: Final = bytes.maketrans(b"+/", b"-_")
_FROM_URL_SAFE: Final = bytes.maketrans(b"-_+/=", b"+/???")


class KeyCipher:
    """Encrypts with the newest key and decrypts with all of them.

    ``key_material``: secrets of at least 16 bytes, newest first. None of them is a key itself:
    each yields its own AES key by HKDF-SHA-256 (RFC 5869), so signing with ``SECRET_KEY`` and
    encrypting never share a key.
    """

    def __init__(self, key_material: Iterable[bytes]) -> None:
        self._ciphers = tuple(AESGCM(_derive_key(material)) for material in key_material)

    def encrypt(self, plaintext: bytes, context: bytes) -> str:
        """Return ``plaintext`` encrypted, as URL-safe base64 without padding.

        It opens only with the same ``context`` (the associated data of NIST SP 800-38D).
        """
        # 96 random bits from the operating system: fresh after a fork, too.
        nonce = os.urandom(_NONCE_BYTES)
        sealed = VERSION + nonce + self._ciphers[0].encrypt(nonce, plaintext, context)
        return b2a_base64(sealed, newline=False).translate(_TO_URL_SAFE).rstrip(b"=").decode()

    def decrypt(
        self, ciphertext: str, context: bytes, *, newest_only: bool = False
    ) -> bytes | None:
        """Return the plaintext, or None for anything that was not encrypted for this context.

        ``newest_only``: try the newest key only.
        """
        try:
            spelled = ciphertext.encode("ascii").translate(_FROM_URL_SAFE)
            spelled += b"=" * (-len(spelled) % 4)
            sealed = a2b_base64(spelled)
        except ValueError:
            return None
        # Base64 has many spellings for the same bytes. Only the one that we write is accepted.
        if b2a_base64(sealed, newline=False) != spelled or sealed[:1] != VERSION:
            return None
        if len(sealed) < _HEAD_BYTES + _TAG_BYTES:
            return None
        nonce, sealed = sealed[1:_HEAD_BYTES], sealed[_HEAD_BYTES:]
        for cipher in self._ciphers[:1] if newest_only else self._ciphers:
            try:
                return cipher.decrypt(nonce, sealed, context)
            except InvalidTag:
                continue
        return None

    def is_current(self, ciphertext: str, context: bytes) -> bool:
        """Whether the newest key opens this ciphertext, so that it needs no re-encryption."""
        return self.decrypt(ciphertext, context, newest_only=True) is not None


def _derive_key(material: bytes) -> bytes:
    return HKDF(SHA256(), length=32, salt=None, info=b"flask_openrouter key v1").derive(material)


def bound_to(purpose: str, base_url: str, owner_id: str) -> bytes:
    """Return the context that ties a ciphertext to a purpose, a provider and an owner."""
    # No NUL can move the borders: the purpose is a constant, and the base URL has been checked.
    return "\0".join((purpose, base_url, owner_id)).encode(errors="replace")
