"""The end of a login: one exchange, and a key that is stored or waits to be."""

from __future__ import annotations

import logging
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Final

from flask import Response, request, url_for

from ..client.credentials import hash_of_key
from ..client.spending import NEWS
from ..connection import Connection, get_connection
from ..errors import (
    AccessDeniedError,
    CodeRefusedError,
    KeyStorageError,
    LoginError,
    OpenRouterError,
    StateMismatchError,
)
from ..languages import _
from ..log import log_note, report_connected
from ..login.callback import Callback, state_of_request
from ..login.cookies import MAX_CLOCK_SKEW
from ..login.logins import Ending, Exchange, Login, mark_of_key
from ..login.parked import ParkedKey
from ..pages.responses import see_other, show_callback_page, show_problem
from ..pages.urls import checked_next, landing_url
from ..problems import PROBLEMS, Problem
from ..services import Services
from ..signals import login_failed
from ..storage.cookie import BROWSER, CookieStorage
from ..storage.record import KeyRecord
from ..web import request_state, send_signal, this_app
from .causes import problem_of_login

logger: Final = logging.getLogger("flask_openrouter")


@dataclass(frozen=True)
class Target:
    """The page that a login leads to."""

    #: Checked already; None for the app's own choice.
    next_url: str | None = None
    #: Whether the login runs in a window of its own, which closes at the end.
    is_popup: bool = False


def finish_login(services: Services, read: Callable[[str], Callback], target: Target) -> Response:
    """Finish the login that a callback belongs to.

    ``read`` gets the base URL and returns the callback, or raises LoginError. ``target``: for a
    callback that belongs to no login of this browser.
    """
    logins = services.pending_logins
    try:
        callback = read(services.settings.base_url)
        login = logins.find(callback)
        target = _target_of(login)
        logins.check_age(login)
        user_id = services.owners.app_user()
        if request.method == "GET" and logins.lacks_session(login, user_id):
            logins.repeat(login)
            return show_callback_page(
                _("Almost connected"), _("This page goes on by itself."), status=200, goes_on=True
            )
        logins.check_user(login, callback, user_id)
        owner_id = services.owners.renew(callback.code_digest, user_id)
        previous = get_connection()
        if callback.code is not None:
            # Everything that can fail comes before the code is spent: the app has named its user,
            # the storage answers, and the old key is read.
            is_stored = services.vault.probe(owner_id) and login.problem != "not_saved"
            if is_stored and not login.is_finished and owner_id.startswith(BROWSER):
                # A browser's id belongs to one login. So another worker has finished this one, and
                # its response was lost.
                return _repeat(services, login, Ending(None, owner_id), target)
            bool(previous)
        # The response that counts as lost may have come after all.
        is_lost = login.problem == "lost"
        if not (login.is_open or is_lost):
            return _show_over(services, login, target)
        exchange, is_first = services.finished_logins.begin(
            callback.state_digest, callback.code_digest
        )
        if is_first and is_lost:
            # Another worker finished it, and knows more than this one.
            exchange.end(Ending("lost"))
        if is_lost or not is_first:
            ending = exchange.wait(services.settings.request_timeout)
            if ending is None:
                return show_callback_page(
                    _("Being connected"),
                    _("OpenRouter is about to answer. Please go on in a moment."),
                    status=202,
                    goes_on=False,
                )
            return _repeat(services, login, ending, target)
    except OpenRouterError as error:
        failure = error
    else:
        return _finish_once(services, exchange, callback, login, previous, owner_id, target)
    if isinstance(failure, LoginError) and failure.reason == "malformed":
        with suppress(StateMismatchError):
            target = _target_of(logins.find(Callback(state_of_request(), None)))
    return fail_login(problem_of_login(failure), target, failure)


def _target_of(login: Login) -> Target:
    # Another version, with other rules, may have written the cookie.
    return Target(checked_next(login.next_url), login.is_popup)


def _finish_once(
    services: Services,
    exchange: Exchange,
    callback: Callback,
    login: Login,
    previous: Connection,
    owner_id: str,
    target: Target,
) -> Response:
    """Send the code, store the key, and tell the other callbacks of this login."""
    # If this fails half-way, OpenRouter may have created a key.
    ending = Ending("lost")
    try:
        outcome = _exchange_code(services, callback, login, previous, owner_id)
        if isinstance(outcome, KeyRecord):
            mark = mark_of_key(owner_id, outcome.api_key)
            services.pending_logins.finish(login)
            ending = Ending(None, owner_id, mark)
            response = go_on(target)
        elif isinstance(outcome, CodeRefusedError) and _is_stored(services, login, owner_id):
            # Another worker has sent the code, and its response was lost or is on the way.
            request_state().connection = None
            services.owners.remember(owner_id)
            services.pending_logins.finish(login)
            ending = Ending(None, owner_id)
            response = go_on(target)
        else:
            problem = problem_of_login(outcome)
            if isinstance(outcome, KeyStorageError):
                problem = PROBLEMS["not_saved"]
            services.pending_logins.fail(login, problem.code)
            ending = Ending(problem.code)
            response = fail_login(problem, target, outcome)
    finally:
        exchange.end(replace(ending, cookies=dict(request_state().new_cookies)))
    return response


def _exchange_code(
    services: Services, callback: Callback, login: Login, previous: Connection, owner_id: str
) -> KeyRecord | OpenRouterError:
    """Return the record of the key, which is stored then, or what went wrong."""
    if callback.has_provider_failed:
        return LoginError("OpenRouter could not ask the visitor.", reason="provider_failed")
    if callback.code is None or login.code_verifier is None:
        return AccessDeniedError("The visitor declined.", reason="declined")
    try:
        key = services.client.exchange_code(callback.code, login.code_verifier, "S256")
    except OpenRouterError as error:
        return error
    record = KeyRecord(
        key.api_key,
        key.openrouter_user_id,
        int(services.clock()),
        follows_rejected=previous.is_set_aside,
    )
    return store_key(services, previous, owner_id, record) or record


def _is_stored(services: Services, login: Login, owner_id: str) -> bool:
    """Whether the owner's key seems to come from this login.

    It is no older than the login, nor than the end of another login of this browser.
    """
    try:
        connected_at = services.vault.connected_at(owner_id)
    except KeyStorageError:
        return False
    others = [other.issued_at for other in services.login_cookies.all() if other.is_finished]
    earliest = max([login.issued_at - MAX_CLOCK_SKEW, *(end + 1 for end in others)])
    return connected_at is not None and connected_at >= earliest


def _show_over(services: Services, login: Login, target: Target) -> Response:
    """Repeat the end of a login that this browser knows to be over.

    The visitor reloaded the callback, or went back to it. Raises StateMismatchError when they have
    disconnected since.
    """
    if login.problem is not None:
        is_gone = login.problem == "not_saved" and services.parked_keys.find() is None
        return _show_again("nothing_to_save" if is_gone else login.problem, target)
    if not get_connection():
        raise StateMismatchError("This login is over.", reason="unknown")
    return go_on(target)


def _repeat(services: Services, login: Login, ending: Ending, target: Target) -> Response:
    """Repeat the end of a login to a browser that does not know it yet.

    Raises StateMismatchError when its key was forgotten since.
    """
    if ending.cookies:
        # This callback has waited for the end.
        request_state().repeat_cookies(ending.cookies)
        return go_on(target) if ending.problem is None else _show_again(ending.problem, target)
    problem = ending.problem
    if problem == "not_saved" or (problem is None and not _can_connect(services, ending)):
        # The key was in the response that was lost.
        problem = "lost"
    if problem is not None:
        services.pending_logins.fail(login, problem)
        return _show_again(problem, target)
    services.pending_logins.finish(login)
    return go_on(target)


def _can_connect(services: Services, ending: Ending) -> bool:
    """Whether this browser has, or can get, the key of a login whose response was lost.

    Raises StateMismatchError when the key was forgotten since.
    """
    connection, owner_id = get_connection(), ending.owner_id
    if isinstance(services.vault.storage, CookieStorage):
        if not connection or connection.owner_id != owner_id:
            return False
        return ending.key_mark in (None, mark_of_key(owner_id, connection.api_key))
    if services.vault.load(owner_id) is None:
        raise StateMismatchError("The key of this login was forgotten.", reason="unknown")
    if not connection:
        services.owners.remember(owner_id)
        request_state().connection = None
    return True


def _show_again(code: str, target: Target) -> Response:
    problem = PROBLEMS.get(code, PROBLEMS["unknown"])
    return show_problem(problem, next_url=target.next_url, is_popup=target.is_popup)


def store_key(
    services: Services, previous: Connection, owner_id: str, record: KeyRecord
) -> KeyStorageError | None:
    """Store a new key and send the signal; or park it, and return why it was not stored.

    ``previous``: the visitor's connection until now. ``owner_id``: the owner of the new key.
    """
    try:
        previous_user_id = previous.openrouter_user_id if previous else None
        previous_id = previous.owner_id
        _save_with_one_retry(services, owner_id, record)
    except KeyStorageError as error:
        # For the same owner: the storage may have stored it and failed to confirm it.
        services.parked_keys.park(ParkedKey(owner_id, record))
        return error
    services.parked_keys.clear(owner_id)
    NEWS.note(hash_of_key(record.api_key))
    # The rest of this request reads the new key.
    request_state().connection = None
    services.owners.remember(owner_id)
    # Only browsers get a new id on connect.
    if previous_id is not None and previous_id != owner_id:
        _forget_previous(services, previous_id)
    report_connected(
        "A key was connected.",
        this_app(),
        owner_id,
        record.openrouter_user_id,
        previous_user_id,
    )
    return None


def go_on(target: Target) -> Response:
    """Send a visitor who is connected to the page that the login leads to."""
    if target.is_popup:
        return see_other(url_for("openrouter.connected", next=target.next_url))
    return see_other(landing_url(target.next_url))


def fail_login(problem: Problem, target: Target, error: OpenRouterError) -> Response:
    """End a login without a key: send the signal and show the problem.

    ``error``: the cause, for the log.
    """
    send_signal(login_failed, this_app(), reason=problem.code)
    return show_problem(problem, next_url=target.next_url, is_popup=target.is_popup, error=error)


def _save_with_one_retry(services: Services, owner_id: str, record: KeyRecord) -> None:
    # The key exists at OpenRouter, and its code is spent: a second try is worth its time.
    try:
        services.vault.save(owner_id, record)
    except KeyStorageError as error:
        failure = str(error)
    else:
        return
    services.vault.save(owner_id, record)
    logger.warning("%s The second try worked.%s", failure, log_note(owner_id))


def _forget_previous(services: Services, previous_id: str) -> None:
    # Does nothing with the cookie storage: the new cookie has replaced the old one.
    try:
        services.vault.forget(previous_id)
    except KeyStorageError:
        logger.warning(
            "The key that was replaced could not be deleted from the storage.%s",
            log_note(previous_id),
        )
