"""A key that the storage refused waits, encrypted, in the visitor's own browser.

The key exists at OpenRouter and its code is spent: without this it would be lost, and the visitor
would have to approve another one. Ten minutes, one button, no new consent.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from .authorization import digest
from .secret import HoldsSecret
from .services import Services
from .storage.cipher import bound_to
from .storage.cookie import BROWSER
from .storage.record import KeyRecord

#: How long a key waits, in seconds.
MAX_AGE: Final = 600


@dataclass(frozen=True, slots=True)
class Parked(HoldsSecret):
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
    context = _context(services, services.owners.app_user())
    plaintext = services.cipher.decrypt(services.unsaved_cookie.read() or "", context)
    owner_id, _, data = (plaintext or b"").partition(b"\0")
    record = KeyRecord.from_bytes(data)
    if record is None or services.clock() - record.connected_at > MAX_AGE:
        return None
    return Parked(owner_id.decode(), record)


def claim(services: Services) -> bool:
    """Return whether what waits in this browser was neither saved nor given up before.

    A cookie can be copied, and put back after a disconnect. As for states, each process remembers
    what it has seen.
    """
    cookie = services.unsaved_cookie.read() or ""
    return services.spent_parkings.claim(digest(cookie), services.clock())


def clear(services: Services) -> None:
    """Give up what waits, if anything does, and delete its cookie."""
    if services.unsaved_cookie.read() is not None:
        # Not for what does not open: strangers could fill the memory with it.
        if find_parked(services) is not None:
            claim(services)
        services.unsaved_cookie.write("")


def _context(services: Services, user_id: str | None) -> bytes:
    return bound_to("unsaved", services.settings.base_url, "" if user_id is None else user_id)
