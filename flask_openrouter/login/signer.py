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
    # itsdangerous signs with the last key; our settings have the newest first.
    signers = [
        Signer(key, salt, key_derivation=key_derivation, digest_method=digest_method)
        for key in reversed(secret_keys)
    ]
    keys = [signer.derive_key() for signer in signers]
    return Signer(keys, key_derivation="none", digest_method=digest_method)
