"""The end of a login: one exchange, and a key that is stored or waits to be."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Final

from flask import Response, url_for

from ..connection import Connection, get_connection
from ..errors import AccessDeniedError, KeyStorageError, OpenRouterError
from ..login.callback import Callback
from ..login.parked import ParkedKey
from ..pages.responses import see_other, show_problem
from ..pages.urls import checked_next, landing_url
from ..problems import PROBLEMS, Problem, problem_of_login
from ..services import Services
from ..signals import key_connected, login_failed
from ..storage.record import KeyRecord
from ..web import request_state, send_signal, this_app

logger: Final = logging.getLogger("flask_openrouter")


def finish_login(services: Services, read: Callable[[str], Callback]) -> Response:
    """Finish the login that a callback belongs to.

    ``read`` gets the base URL and returns the callback, or raises LoginError.
    """
    next_url = None
    try:
        callback = read(services.settings.base_url)
        finished = services.finished_logins.find(callback.state)
        if finished is not None and get_connection():
            # The visitor reloaded the callback, or went back to it.
            return go_on(checked_next(finished.next_url))
        pending = services.pending_logins.find(callback.state)
        # Another version, with other rules, may have written the session.
        next_url = checked_next(pending.next_url)
        if callback.code is None:
            services.pending_logins.take(pending)
            raise AccessDeniedError("The visitor declined.", reason="declined")
        # All that can fail is done before the code is spent: reading the old key, asking the app
        # for its user, and asking the storage for anything at all.
        previous = get_connection()
        bool(previous)
        owner_id = services.owners.renew()
        services.vault.probe(owner_id)
        services.pending_logins.take(pending)
        key = services.client.exchange_code(callback.code, pending.code_verifier, "S256")
    except OpenRouterError as error:
        failure = error
    else:
        record = KeyRecord(
            key.api_key,
            key.openrouter_user_id,
            int(services.clock()),
            follows_rejected=previous.is_set_aside,
        )
        storage_error = store_key(services, previous, owner_id, record)
        if storage_error is not None:
            return fail_login(PROBLEMS["not_saved"], next_url, storage_error)
        services.finished_logins.remember(pending)
        return go_on(next_url, is_popup=pending.is_popup)
    return fail_login(problem_of_login(failure), next_url, failure)


def store_key(
    services: Services, previous: Connection, owner_id: str, record: KeyRecord
) -> KeyStorageError | None:
    """Store a new key and send the signal; or park it, and return why it was not stored.

    ``previous``: the visitor's connection until now. ``owner_id``: the owner of the new key.
    """
    try:
        previous_user_id = previous.openrouter_user_id if previous else None
        _save_with_one_retry(services, owner_id, record)
    except KeyStorageError as error:
        # For the same owner: the storage may have stored it and failed to confirm it.
        services.parked_keys.park(ParkedKey(owner_id, record))
        return error
    services.parked_keys.clear(owner_id)
    # The rest of this request reads the new key.
    request_state().connection = None
    services.owners.remember(owner_id)
    # Only browsers get a new id on connect.
    if previous.owner_id not in (None, owner_id):
        _forget_previous(services, previous.owner_id)
    logger.info("A key was connected.")
    send_signal(
        key_connected,
        this_app(),
        owner_id=owner_id,
        openrouter_user_id=record.openrouter_user_id,
        previous_openrouter_user_id=previous_user_id,
    )
    return None


def go_on(next_url: str | None, *, is_popup: bool = False) -> Response:
    """Send a visitor who is connected to the address that the login leads to."""
    url = url_for("openrouter.connected", next=next_url) if is_popup else landing_url(next_url)
    return see_other(url)


def fail_login(problem: Problem, next_url: str | None, error: OpenRouterError) -> Response:
    """End a login without a key: send the signal and show the problem.

    ``error``: the cause, for the log.
    """
    send_signal(login_failed, this_app(), reason=problem.code)
    return show_problem(problem, next_url=next_url, error=error)


def _save_with_one_retry(services: Services, owner_id: str, record: KeyRecord) -> None:
    # The key exists at OpenRouter, and its code is spent: a second try is worth its time.
    try:
        services.vault.save(owner_id, record)
    except KeyStorageError as error:
        failure = str(error)
    else:
        return
    services.vault.save(owner_id, record)
    logger.warning("%s The second try worked.", failure)


def _forget_previous(services: Services, previous_id: str) -> None:
    # Does nothing with the cookie storage: the new cookie has replaced the old one.
    try:
        services.vault.forget(previous_id)
    except KeyStorageError:
        logger.warning("The key that was replaced could not be deleted from the storage.")
