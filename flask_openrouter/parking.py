"""A key that the storage refused waits, encrypted, in the visitor's own browser.

The key exists at OpenRouter and its code is spent: without this it would be lost, and the visitor
would have to approve another one. Ten minutes, one button, no new consent.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from .authorization import digest
from .client.credentials import Unpicklable, hash_of_key
from .services import Services
from .storage.cipher import bound_to
from .storage.cookie import BROWSER
from .storage.record import KeyRecord

#: How long a key waits, in seconds.
MAX_AGE: Final = 600


@dataclass(frozen=True, slots=True)
class Parked(Unpicklable):
    """A record that waits, and the owner it was to be stored for."""

    owner_id: str
    record: KeyRecord


def park(services: Services, parked: Parked) -> None:
    """Put the record into this browser's cookie, for its owner only."""
    # No owner id holds a NUL.
    plaintext = parked.owner_id.encode() + b"\0" + parked.record.to_bytes()
    user_id = None if parked.owner_id.startswith(BROWSER) else parked.owner_id
    services.unsaved_cookie.write(services.cipher.encrypt(plaintext, _context(services, user_id)))


def find_parked(services: Services) -> Parked | None:
    """Return what waits in this browser for this user, or None."""
    parked = _open(services, services.owners.app_user())
    if parked is None or services.spent_parkings.is_spent(_mark(parked), services.clock()):
        return None
    return parked


def clear(services: Services, owner_id: str | None) -> None:
    """Give up what waits, if anything does, and delete its cookie.

    A cookie can be copied, and put back after a disconnect: each process remembers what it has
    seen. ``owner_id``: whose the request is; the app is not asked again.
    """
    if services.unsaved_cookie.read() is None:
        return
    # Not for what does not open: strangers could fill the memory with it.
    is_browser = owner_id is None or owner_id.startswith(BROWSER)
    if (parked := _open(services, None if is_browser else owner_id)) is not None:
        services.spent_parkings.claim(_mark(parked), services.clock())
    services.unsaved_cookie.write("")


def _open(services: Services, user_id: str | None) -> Parked | None:
    ciphertext = services.unsaved_cookie.read() or ""
    plaintext = services.cipher.decrypt(ciphertext, _context(services, user_id))
    owner_id, _, data = (plaintext or b"").partition(b"\0")
    record = KeyRecord.from_bytes(data)
    if record is None or services.clock() - record.connected_at > MAX_AGE:
        return None
    return Parked(owner_id.decode(), record)


def _mark(parked: Parked) -> str:
    # The key, not the cookie: one that is parked anew is spelt differently.
    return digest(f"{parked.owner_id} {hash_of_key(parked.record.api_key)}")


def _context(services: Services, user_id: str | None) -> bytes:
    return bound_to("unsaved", services.settings.base_url, "" if user_id is None else user_id)
