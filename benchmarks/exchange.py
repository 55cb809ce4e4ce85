"""What the local provider makes of a code: no memory is needed to check PKCE, nor to tell keys.

A code names its own code challenge, and the key is the code's hash. So the provider checks the
code verifier of every exchange, and whoever holds a key can tell whose it is.
"""

from __future__ import annotations

import base64
import hashlib
import itertools

_SERIAL = itertools.count()


def make_code(code_challenge: str) -> str:
    """Return a new authorization code for a login with this S256 challenge."""
    return f"{code_challenge}.{next(_SERIAL)}"


def key_of(code: str) -> str:
    """Return the key that this code buys, in the form of OpenRouter's keys."""
    return f"sk-or-v1-{hashlib.sha256(code.encode()).hexdigest()}"


def is_verified(code: str, code_verifier: str) -> bool:
    """Whether this verifier belongs to the code's challenge (RFC 7636 §4.6)."""
    digest = hashlib.sha256(code_verifier.encode()).digest()
    return base64.urlsafe_b64encode(digest).rstrip(b"=").decode() == code.partition(".")[0]
