"""The routes of a connection: end it, and ask whether there is one."""

from __future__ import annotations

from flask import Response, jsonify, make_response, request, url_for

from ..client.base_url import key_url, keys_url
from ..client.credentials import KEY_HASH
from ..connection import get_connection
from ..errors import KeyStorageError
from ..pages.responses import protect_page, see_other, show_problem
from ..pages.templates import render_page
from ..pages.urls import home_url, next_of_request
from ..pages.visit import is_same_origin
from ..problems import PROBLEMS
from ..web import get_services


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
    services = get_services()
    target = next_of_request() or services.settings.disconnect_redirect_url
    return see_other(target or url_for("openrouter.disconnected", key=key_hash))


def disconnected() -> Response:
    """Tell the visitor that the key lives on at OpenRouter, and link to it."""
    base_url = get_services().settings.base_url
    key_hash = request.args.get("key", "")
    is_known = KEY_HASH.fullmatch(key_hash) is not None
    page = render_page(
        "openrouter/disconnected.html",
        keys_url=key_url(base_url, key_hash) if is_known else keys_url(base_url),
        home_url=home_url(),
    )
    return protect_page(make_response(page))


def status() -> Response:
    """Tell a front end whether this visitor is connected. Never shows the key."""
    connection = get_connection()
    is_connected = bool(connection)
    return protect_page(
        jsonify(
            connected=is_connected,
            masked_key=connection.masked_key if is_connected else None,
            login_url=url_for("openrouter.login"),
        )
    )
