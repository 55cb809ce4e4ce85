"""Checking a ``code_verifier`` (RFC 7636), written apart from the client's own computation.

Sharing code with the client would let one mistake cancel itself out on both sides.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import re

CODE_CHALLENGE_METHODS = ("S256", "plain")

# RFC 7636 sections 4.1 and 4.2: the unreserved characters, 43 to 128 of them.
_PLAIN = re.compile(r"[A-Za-z0-9\-._~]{43,128}", re.ASCII)
# An unpadded base64url SHA-256 digest is always 43 characters.
_S256 = re.compile(r"[A-Za-z0-9\-_]{43}", re.ASCII)


def is_code_challenge(value: str, method: str) -> bool:
    """Whether ``value`` can be a ``code_challenge`` of this method."""
    return bool((_S256 if method == "S256" else _PLAIN).fullmatch(value))


def verifies(code_verifier: str, code_challenge: str, method: str) -> bool:
    """Whether ``code_verifier`` belongs to ``code_challenge`` (RFC 7636 section 4.6)."""
    if not _PLAIN.fullmatch(code_verifier):
        return False
    computed = code_verifier
    if method == "S256":
        digest = hashlib.sha256(code_verifier.encode("ascii")).digest()
        computed = base64.urlsafe_b64encode(digest).decode("ascii").rstrip("=")
    return hmac.compare_digest(computed, code_challenge)
