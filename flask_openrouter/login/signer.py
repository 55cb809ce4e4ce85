"""Signers of the extension's cookies."""

from __future__ import annotations

import hashlib
import hmac
from typing import Any

from itsdangerous import Signer
from itsdangerous.signer import SigningAlgorithm


class _PreparedHMAC(SigningAlgorithm):
    """HMAC that prepares each key once. To prepare it takes longer than to sign."""

    def __init__(self, keys: list[bytes], digest_method: Any) -> None:
        # By the key: itsdangerous asks with it. In a function, so that no dump shows the keys.
        prepared = {key: hmac.new(key, digestmod=digest_method) for key in keys}
        self._prepared = prepared.__getitem__

    def get_signature(self, key: bytes, value: bytes) -> bytes:
        signature = self._prepared(key).copy()
        signature.update(value)
        return signature.digest()


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
    return Signer(keys, salt, b".", "none", digest_method, _PreparedHMAC(keys, digest_method))
