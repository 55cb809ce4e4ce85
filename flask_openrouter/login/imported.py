"""Keys that an app already holds, checked and stored for their owners."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Final

from flask import has_request_context

from ..client.credentials import MALFORMED_KEY, hash_of_key, is_api_key
from ..client.spending import NEWS
from ..errors import ConfigurationError, KeyStorageError
from ..log import log_note
from ..signals import key_connected
from ..storage.record import KeyRecord
from ..web import request_state, send_signal, this_app

if TYPE_CHECKING:
    from ..services import Services

logger: Final = logging.getLogger("flask_openrouter")


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
    logger.info("A key was imported.%s", log_note(owner_id))
    send_signal(
        key_connected,
        this_app(),
        owner_id=owner_id,
        openrouter_user_id=record.openrouter_user_id,
        previous_openrouter_user_id=present and present.openrouter_user_id,
    )
    return True


def _is_usable(record: KeyRecord | None) -> bool:
    return record is not None and record.rejected_at is None
