"""Keys that an app already holds, checked and stored for their owners."""

from __future__ import annotations

from typing import TYPE_CHECKING

from flask import has_request_context

from ..client.credentials import MALFORMED_KEY, hash_of_key, is_api_key
from ..client.spending import NEWS
from ..errors import ConfigurationError, KeyStorageError
from ..log import report_connected
from ..storage.record import KeyRecord
from ..web import request_state, this_app

if TYPE_CHECKING:
    from ..services import Services


def import_key(services: Services, owner_id: str, api_key: str, *, replace: bool) -> bool:
    """Store a key that OpenRouter accepts: see :meth:`OpenRouterAuth.import_key`.

    Its frames hold the key.
    """
    if not is_api_key(api_key):
        raise ConfigurationError(f"{MALFORMED_KEY}.")
    vault = services.vault
    if not replace:
        if _is_usable(vault.load(owner_id)):
            return False
        if vault.is_unreadable(owner_id):
            # A command that runs with another SECRET_KEY than the app must not overwrite keys.
            raise KeyStorageError(
                "What is stored for this owner does not open: was it encrypted with another key?"
                " Nothing was changed. replace=True overwrites it."
            )
    info = services.client.get_key_info(api_key)
    # Read again: a login may have come to an end meanwhile.
    present = vault.load(owner_id)
    if not replace and _is_usable(present):
        return False
    record = KeyRecord(api_key, info.creator_user_id, int(services.clock()))
    if not vault.replace(owner_id, present, record):
        return False
    NEWS.note(hash_of_key(api_key))
    if has_request_context():
        # The rest of this request reads the new key, if its visitor is the owner.
        request_state().connection = None
    report_connected(
        "A key was imported.",
        this_app(),
        owner_id,
        record.openrouter_user_id,
        present.openrouter_user_id if present else None,
    )
    return True


def _is_usable(record: KeyRecord | None) -> bool:
    return record is not None and record.rejected_at is None
