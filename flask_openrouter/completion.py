"""The end of a login: one exchange, and a key that is stored or waits to be."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Final

from flask import Response, url_for

from . import parking
from .authorization import find_authorization, take_authorization
from .callback import Callback
from .connection import Connection, drop_connection, get_connection, send
from .current import this_app
from .errors import AccessDeniedError, KeyStorageError, OpenRouterError
from .finished import find_finished, remember_finished
from .pages import landing_url, own_path, see_other, show_problem
from .problems import PROBLEMS, Problem, problem_of_login
from .redirects import safe_next
from .services import Services
from .signals import key_connected, login_failed
from .storage.record import KeyRecord

logger: Final = logging.getLogger("flask_openrouter")


def finish(services: Services, read: Callable[[], Callback]) -> Response:
    """Finish the login that a callback belongs to. ``read`` returns it, or raises LoginError."""
    next_url = None
    try:
        callback = read()
        finished = find_finished(services, callback.state)
        if finished is not None and get_connection():
            return go_on(_still_safe(finished.next_url))
        pending = find_authorization(services, callback.state)
        next_url = _still_safe(pending.next_url)
        if callback.code is None:
            take_authorization(services, pending)
            raise AccessDeniedError("The visitor declined.", reason="declined")
        # Notices a storage that is down before the code is spent: the key that this visitor has
        # now, if any, and the place of the new one. Nor is the app asked who it is later: what it
        # asks for that may be down by then.
        previous, owner_id = get_connection(), services.owners.renew()
        bool(previous)
        services.vault.probe(owner_id)
        take_authorization(services, pending)
        key = services.client.exchange_code(callback.code, pending.code_verifier, "S256")
    except OpenRouterError as error:
        failure = error
    else:
        record = KeyRecord(key.api_key, key.openrouter_user_id, int(services.clock()))
        refusal = store(services, previous, owner_id, record)
        if refusal is not None:
            return fail(PROBLEMS["not_saved"], next_url, refusal)
        remember_finished(services, pending)
        return go_on(next_url, is_popup=pending.is_popup)
    return fail(problem_of_login(failure), next_url, failure)


def store(
    services: Services, previous: Connection, owner_id: str, record: KeyRecord
) -> KeyStorageError | None:
    """Store a new key and tell those who listen; or park it, and return why it was not stored.

    ``previous``: the visitor's connection until now. ``owner_id``: whose the new key is.
    """
    try:
        previous_user_id = previous.openrouter_user_id if previous else None
        _save(services, owner_id, record)
    except KeyStorageError as error:
        # For the same owner: the storage may have stored it and failed to say so.
        parking.park(services, parking.Parked(owner_id, record))
        return error
    parking.clear(services, owner_id)
    services.owners.remember(owner_id)
    drop_connection()
    _forget_previous(services, previous.owner_id, owner_id)
    logger.info("A key was connected.")
    send(
        key_connected,
        this_app(),
        owner_id=owner_id,
        openrouter_user_id=record.openrouter_user_id,
        previous_openrouter_user_id=previous_user_id,
    )
    return None


def go_on(next_url: str | None, *, is_popup: bool = False) -> Response:
    """Send a visitor who is connected to where the login was to lead."""
    url = url_for("openrouter.connected", next=next_url) if is_popup else landing_url(next_url)
    return see_other(url)


def fail(problem: Problem, next_url: str | None, error: OpenRouterError) -> Response:
    """Tell the visitor, and those who listen, that a login ended without a key.

    ``error``: why, for the log.
    """
    send(login_failed, this_app(), reason=problem.code)
    return show_problem(problem, next_url=next_url, error=error)


def _still_safe(next_url: str | None) -> str | None:
    # The session may have been written by another version, with other rules.
    return safe_next(next_url, own_path=own_path())


def _save(services: Services, owner_id: str, record: KeyRecord) -> None:
    # The key exists at OpenRouter, and its code is spent: a second try costs little.
    try:
        services.vault.save(owner_id, record)
    except KeyStorageError as error:
        failure = str(error)
    else:
        return
    services.vault.save(owner_id, record)
    logger.warning("%s The second try worked.", failure)


def _forget_previous(services: Services, previous_id: str | None, owner_id: str) -> None:
    # Only browsers get a new id on connect. The cookie storage has replaced the old one already.
    if previous_id is None or previous_id == owner_id:
        return
    try:
        services.vault.forget(previous_id)
    except KeyStorageError:
        logger.warning("The key that was replaced could not be deleted from the storage.")
