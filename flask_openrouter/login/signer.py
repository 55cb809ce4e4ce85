"""Signers of the extension's cookies."""

from __future__ import annotations

import hashlib
from typing import Any

from itsdangerous import Signer


def make_signer(
    secret_keys: tuple[bytes, ...],
    salt: bytes,
    key_derivation: str = "hmac",
    digest_method: Any = hashlib.sha256,
) -> Signer:
    """Return a signer that signs with the first key, and accepts the signatures of all.

    The keys are derived once, not for each signature.
    """
    settings = key_derivation, digest_method
    # itsdangerous signs with the last key; our settings have the newest first.
    keys = [Signer(key, salt, b".", *settings).derive_key() for key in reversed(secret_keys)]
    return Signer(keys, salt, b".", "none", digest_method)
