"""A key that the storage refused waits, encrypted, in the visitor's own browser.

The key exists at OpenRouter and its code is spent: without this it would be lost, and the visitor
would have to approve another one. Ten minutes, one button, no new consent.
"""

from __future__ import annotations

from typing import Final

from .services import Services
from .storage.cipher import bound_to
from .storage.cookie import ExtensionCookie
from .storage.record import KeyRecord

#: How long a key waits, in seconds.
MAX_AGE: Final = 600

_COOKIE: Final = ExtensionCookie(MAX_AGE, suffix="-unsaved")


def park(services: Services, record: KeyRecord) -> None:
    """Put the record into this browser's cookie, for the user of the app who is signed in now."""
    _COOKIE.write(services.cipher.encrypt(record.to_bytes(), _context(services)))


def parked_record(services: Services) -> KeyRecord | None:
    """Return the record that waits in this browser for this user, or None."""
    plaintext = services.cipher.decrypt(_COOKIE.read() or "", _context(services))
    record = None if plaintext is None else KeyRecord.from_bytes(plaintext)
    if record is None or services.clock() - record.connected_at > MAX_AGE:
        return None
    return record


def clear() -> None:
    """Delete the cookie, if there is one."""
    if _COOKIE.read() is not None:
        _COOKIE.write("")


def _context(services: Services) -> bytes:
    user_id = services.owners.app_user()
    return bound_to("unsaved", services.settings.base_url, "" if user_id is None else user_id)
