"""Proof Key for Code Exchange (RFC 7636)."""

from __future__ import annotations

import hashlib
import re
import secrets
from base64 import urlsafe_b64encode

#: RFC 7636 §4.1: 43 to 128 unreserved characters. A ``plain`` challenge has the same form.
_CODE_VERIFIER = re.compile(r"[A-Za-z0-9\-._~]{43,128}", re.ASCII)
#: RFC 7636 §4.2: base64url of a SHA-256 digest, without padding.
_S256_CHALLENGE = re.compile(r"[A-Za-z0-9\-_]{43}", re.ASCII)
METHODS = ("S256", "plain")


def create_code_verifier() -> str:
    """Return a new code_verifier: 32 random bytes as 43 characters (RFC 7636 §4.1)."""
    return _base64url(secrets.token_bytes(32))


def create_code_challenge(code_verifier: str, method: str = "S256") -> str:
    """Return the code_challenge for ``code_verifier`` (RFC 7636 §4.2).

    :param method: ``"S256"``, or ``"plain"``, which returns the verifier itself.
    :raises ValueError: if the verifier is not 43 to 128 characters of ``A-Z a-z 0-9 - . _ ~``, or
        the method is another one. The message does not contain the verifier.
    """
    problem = check_method(method) or check_code_verifier(code_verifier)
    if problem is not None:
        del code_verifier
        raise ValueError(problem)
    if method == "plain":
        return code_verifier
    return _base64url(hashlib.sha256(code_verifier.encode("ascii")).digest())


def check_code_verifier(code_verifier: object) -> str | None:
    """Return what is wrong with a code_verifier, without repeating it, or None."""
    if isinstance(code_verifier, str) and _CODE_VERIFIER.fullmatch(code_verifier):
        return None
    return "code_verifier must be 43 to 128 characters of A-Z a-z 0-9 - . _ ~ (RFC 7636 §4.1)"


def check_code_challenge(code_challenge: object, method: str) -> str | None:
    """Return what is wrong with a code_challenge for this method, or None."""
    pattern = _S256_CHALLENGE if method == "S256" else _CODE_VERIFIER
    if isinstance(code_challenge, str) and pattern.fullmatch(code_challenge):
        return None
    if method == "S256":
        return "code_challenge must be 43 characters of A-Z a-z 0-9 - _ for S256 (RFC 7636 §4.2)"
    return "code_challenge must be 43 to 128 characters of A-Z a-z 0-9 - . _ ~ (RFC 7636 §4.2)"


def check_method(method: object) -> str | None:
    """Return what is wrong with a code_challenge_method, or None."""
    if method in METHODS:
        return None
    return 'code_challenge_method must be exactly "S256" or "plain"'


def _base64url(data: bytes) -> str:
    return urlsafe_b64encode(data).rstrip(b"=").decode("ascii")
