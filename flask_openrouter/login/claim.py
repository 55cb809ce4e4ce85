"""The browser's key, handed to the user who has just signed up."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..errors import ConfigurationError
from ..log import report_connected
from ..web import request_state, this_app
from .owner import adopt

if TYPE_CHECKING:
    from ..services import Services
    from ..storage.record import KeyRecord


def claim_key(*, replace: bool) -> bool:
    """Hand this browser's key to the signed-in user: see :meth:`OpenRouterAuth.claim`."""
    state = request_state()
    services, owners, vault = state.services, state.services.owners, state.services.vault
    user_id = owners.app_user()
    if user_id is None:
        raise ConfigurationError(
            "claim() needs a signed-in user with an id. Call it after the app has saved the new"
            " user and signed them in."
        )
    state.forbid_sharing(no_store=False)
    browser_id = owners.browser(state)
    if browser_id is None:
        return False
    record = vault.load(browser_id)
    if record is None or not _is_usable(services, record):
        return False
    present = vault.load(user_id)
    if present is None and (former_id := owners.former_id(user_id)) is not None:
        present = adopt(vault, former_id, user_id)
    is_set_aside = present is not None and present.rejected_at is not None
    # The same key: another call has written it, and has not deleted the browser's entry yet.
    is_free = present is None or is_set_aside or present.api_key == record.api_key
    if not is_free and not replace:
        return False
    if not vault.move(browser_id, user_id, record, present):
        return False
    owners.forget_browser()
    # The rest of this request reads the user's key.
    state.connection = None
    report_connected(
        "A browser's key was handed to its user.",
        this_app(),
        user_id,
        record.openrouter_user_id,
        present.openrouter_user_id if present else None,
    )
    return True


def _is_usable(services: Services, record: KeyRecord) -> bool:
    is_postponed = services.rejected_keys.is_postponed(record.api_key)
    return record.rejected_at is None and not is_postponed
