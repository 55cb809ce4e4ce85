"""The secrets of an app's settings from which the keys of the encryption are made."""

from __future__ import annotations

import base64
import logging
import re
from collections.abc import Mapping, Sequence
from typing import Any, Final

from .errors import ConfigurationError

logger: Final = logging.getLogger("flask_openrouter")

MIN_SECRET_BYTES: Final = 16
# Values that people copy from documentation and tutorials and forget: letters and digits only.
_SAMPLE_SECRETS: Final = {
    b"12345678901234567890",
    b"192b9bdd22ab9ed4d12e236c78afcb9a393ec15f71bbf5dc987d54727823bcbf",
    b"5791628bb0b13ce0c676dfde280ba245",
    b"5y2lf4q8z",
    b"5y2lf4q8znxec",
    b"a0zr98j3yxrxhhjmnlwxrt",
    b"averysecretkey",
    b"changemechangeme",
    b"changemeinproduction",
    b"devsecretkeychangeinproduction",
    b"flaskappsecretkey",
    b"hardtoguessstring",
    b"mysupersecretkey",
    b"pf9wkove4ikeaxvycqkedphv9cb3agwyjilbqdfw",
    b"replacewitharandomvalue",
    b"secretsecretsecret",
    b"supersecretkey",
    b"supersecretkey123",
    b"supersecretkeychangeinproduction",
    b"thisisasecretkey",
    b"thisismysecretkey",
    b"thisisnotsecret",
    b"yoursecretkey",
    b"yoursecretkeyhere",
    b"youwillneverguess",
}


def secret_keys(config: Mapping[str, Any], *, development: bool) -> tuple[bytes, ...]:
    """Return ``SECRET_KEY`` and its fallbacks, newest first.

    ``development``: a weak one is only logged. Raises :class:`ConfigurationError` for what is
    missing, malformed or weak.
    """
    secret = config.get("SECRET_KEY")
    remedy = 'Make one with: python -c "import secrets; print(secrets.token_hex())"'
    if not secret:
        raise ConfigurationError(f"SECRET_KEY is not set. {remedy}")
    fallbacks = config.get("SECRET_KEY_FALLBACKS") or ()
    if isinstance(fallbacks, str | bytes) or not isinstance(fallbacks, Sequence):
        raise ConfigurationError(
            "SECRET_KEY_FALLBACKS must be a list of keys, not one key:"
            " a single string would make each of its letters a valid key."
        )
    keys = []
    for name, value in [("SECRET_KEY", secret), *(("SECRET_KEY_FALLBACKS", k) for k in fallbacks)]:
        if type(value) in (int, float):
            raise ConfigurationError(
                f"{name} must hold text or bytes, not a number. Flask's from_prefixed_env reads"
                " digits as one, unless they are quoted as in FLASK_SECRET_KEY='\"1234…\"'."
                f" A random key is better. {remedy}"
            )
        if not isinstance(value, str | bytes):
            raise ConfigurationError(f"{name} must hold text or bytes.")
        key = value if isinstance(value, bytes) else value.encode(errors="replace")
        if isinstance(value, str) and key.decode() != value:
            raise ConfigurationError(f"{name} holds bytes that are no text. {remedy}")
        if _is_weak(key):
            message = (
                f"{name} is too easy to guess: whoever guesses it can read every stored key."
                f" Use at least {MIN_SECRET_BYTES} random bytes. {remedy}"
            )
            if not development or not key.strip():
                raise ConfigurationError(message)
            logger.warning("%s This is accepted in debug and testing mode only.", message)
        keys.append(key)
    return tuple(keys)


def _is_weak(key: bytes) -> bool:
    # Random bytes may well begin or end with a blank; those around a text do not count.
    length = len(key.strip()) if key.isascii() else len(key)
    # One letter again and again, or blanks of some kind.
    is_monotonous = len(set(key)) < 5
    letters_and_digits = re.sub(rb"[^a-z0-9]", b"", key.lower())
    return length < MIN_SECRET_BYTES or is_monotonous or letters_and_digits in _SAMPLE_SECRETS


def encryption_keys(config: Mapping[str, Any]) -> tuple[bytes, ...]:
    """Return ``OPENROUTER_ENCRYPTION_KEY`` and its fallbacks, newest first; empty if not set.

    Raises :class:`ConfigurationError` for what is malformed.
    """
    newest = config.get("OPENROUTER_ENCRYPTION_KEY")
    fallbacks = config.get("OPENROUTER_ENCRYPTION_KEY_FALLBACKS") or ()
    if isinstance(fallbacks, str | bytes) or not isinstance(fallbacks, Sequence):
        raise ConfigurationError("OPENROUTER_ENCRYPTION_KEY_FALLBACKS must be a list of keys.")
    if newest is None:
        if fallbacks:
            raise ConfigurationError(
                "OPENROUTER_ENCRYPTION_KEY_FALLBACKS is set without OPENROUTER_ENCRYPTION_KEY."
                " Set the new key; the fallbacks only decrypt."
            )
        return ()
    return (
        _encryption_key("OPENROUTER_ENCRYPTION_KEY", newest),
        *(_encryption_key("OPENROUTER_ENCRYPTION_KEY_FALLBACKS", key) for key in fallbacks),
    )


def _encryption_key(name: str, value: object) -> bytes:
    # The value stays out of the traceback: whatever is wrong with it, it may be a real key.
    if isinstance(value, bytes):
        value = value.decode("ascii", "replace")
    key = b""
    if isinstance(value, str):
        try:
            key = base64.b64decode(value.strip(), altchars=b"-_", validate=True)
        except ValueError:  # binascii.Error is one
            key = b""
    del value
    if len(key) != 32:
        raise ConfigurationError(
            f"{name} must be 32 bytes in URL-safe base64 (44 characters)."
            " Make one with: flask openrouter generate-key"
        )
    return key
