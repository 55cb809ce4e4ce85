"""The routes, and the errors that become pages wherever in the app they happen."""

from __future__ import annotations

import re
from typing import Final

from flask import Blueprint, Response, jsonify, make_response, render_template, request, url_for

from . import answer, completion, guard, headless, parking
from .authorization import authorization_url, start_authorization
from .callback import read_callback
from .callback_url import callback_url_for
from .connection import get_connection
from .errors import (
    KeyRejectedError,
    KeyStorageError,
    LoginError,
    NotConnectedError,
    OpenRouterError,
    OutOfCreditError,
)
from .fetch_metadata import is_cross_site, is_same_origin, refuse_background_load
from .pages import home_url, landing_url, next_of_request, protect_page, see_other, show_problem
from .problems import PROBLEMS, problem_of, problem_of_login
from .services import get_services

_KEY_HASH: Final = re.compile(r"[0-9a-f]{64}")


def create_blueprint(url_prefix: str) -> Blueprint:
    """Return a new blueprint with the routes and error pages. It holds nothing of an app."""
    blueprint = Blueprint(
        "openrouter",
        __name__,
        url_prefix=url_prefix,
        template_folder="templates",
        static_folder="static/openrouter",
        static_url_path="/static",
    )
    blueprint.get("/login")(login)
    blueprint.get("/callback")(callback)
    blueprint.get("/connected")(connected)
    blueprint.post("/save")(save)
    blueprint.get("/code", endpoint="code")(headless.show_code_form)
    blueprint.post("/code")(headless.take_pasted_code)
    blueprint.post("/disconnect")(disconnect)
    blueprint.get("/disconnected")(disconnected)
    blueprint.get("/status")(status)
    blueprint.before_app_request(guard.refuse_open_view)
    # Flask calls hooks from the last to the first: those that the app registers later come before.
    blueprint.after_app_request(answer.finish)
    blueprint.app_errorhandler(KeyStorageError)(show_error)
    blueprint.app_errorhandler(OutOfCreditError)(show_error)
    blueprint.app_errorhandler(KeyRejectedError)(guard.heal)
    blueprint.app_errorhandler(NotConnectedError)(guard.heal)
    return blueprint


def login() -> Response:
    """Start a login: remember it in this browser's session and send the visitor to OpenRouter."""
    if (refusal := refuse_background_load()) is not None:
        return refusal
    services = get_services()
    next_url = next_of_request()
    try:
        callback_url = callback_url_for(services)
        pending = start_authorization(
            services,
            next_url=next_url,
            is_cross_site=is_cross_site(),
            is_popup=request.args.get("display") == "popup",
        )
    except (LoginError, KeyStorageError) as error:
        failure = error
    else:
        return see_other(authorization_url(services, pending, callback_url))
    return completion.fail(problem_of_login(failure), next_url, failure)


def callback() -> Response:
    """Finish a login: check the state, exchange the code once, store the key, go on."""
    if (refusal := refuse_background_load()) is not None:
        return refusal
    services = get_services()
    return completion.finish(services, lambda: read_callback(services.settings.base_url))


def connected() -> Response:
    """End a login in a popup: a small script tells the page that opened it, and closes."""
    page = render_template("openrouter/connected.html", next_url=landing_url(next_of_request()))
    return protect_page(make_response(page), scripts=True)


def save() -> Response:
    """Store a key that the storage refused a moment ago, without asking OpenRouter again."""
    if not is_same_origin():
        return show_problem(PROBLEMS["cross_site"])
    services = get_services()
    next_url = next_of_request()
    parked = parking.find_parked(services)
    if parked is None:
        if services.unsaved_cookie.read() and get_connection():
            # A second click.
            return completion.go_on(next_url)
        return show_problem(PROBLEMS["nothing_to_save"], next_url=next_url)
    refusal = completion.store(services, get_connection(), parked.owner_id, parked.record)
    if refusal is not None:
        return completion.fail(PROBLEMS["not_saved"], next_url, refusal)
    return completion.go_on(next_url)


def disconnect() -> Response:
    """Forget the key. Only a page of this site may ask for it (OWASP ASVS 5.0, 3.5.1)."""
    if not is_same_origin():
        return show_problem(PROBLEMS["cross_site"])
    connection = get_connection()
    failure: KeyStorageError | None = None
    try:
        key_hash = connection.key_hash if connection else None
        connection.disconnect()
    except KeyStorageError as error:
        failure = error
    if failure is not None:
        return show_problem(PROBLEMS["not_forgotten"], error=failure)
    parking.clear(get_services(), connection.owner_id)
    target = next_of_request() or get_services().settings.disconnect_redirect_url
    return see_other(target or url_for("openrouter.disconnected", key=key_hash))


def disconnected() -> Response:
    """Say that the key lives on at OpenRouter, and link to it."""
    base_url = get_services().settings.base_url
    key_hash = request.args.get("key", "")
    keys_url = f"{base_url}/settings/keys"
    if _KEY_HASH.fullmatch(key_hash):
        keys_url = f"{base_url}/keys/{key_hash}"
    page = render_template("openrouter/disconnected.html", keys_url=keys_url, home_url=home_url())
    return protect_page(make_response(page))


def status() -> Response:
    """Tell a front end whether this visitor is connected. Never the key."""
    connection = get_connection()
    is_connected = bool(connection)
    return protect_page(
        jsonify(
            connected=is_connected,
            masked_key=connection.masked_key if is_connected else None,
            login_url=url_for("openrouter.login"),
        )
    )


def show_error(error: OpenRouterError) -> Response:
    """Answer an error of ours that a view of the app did not handle."""
    return show_problem(problem_of(error), error=error)
