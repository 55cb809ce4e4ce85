"""The routes of a login: start it, finish it, and finish it by hand.

Without a callback, the visitor pastes the code that OpenRouter shows. That is for apps that
OpenRouter cannot send visitors back to: in containers, on a LAN, behind SSH (OpenRouter guide
"OAuth PKCE", headless apps).
"""

from __future__ import annotations

from typing import Any

from flask import Response, make_response, request

from ..connection import get_connection
from ..errors import KeyStorageError, LoginError
from ..login.callback import Callback, read_callback, read_pasted
from ..login.logins import AuthorizationRequest
from ..pages.responses import protect_page, refuse_background_load, see_other, show_problem
from ..pages.templates import render_page
from ..pages.urls import is_popup_request, landing_url, next_of_request
from ..pages.visit import is_cross_site, is_navigation, is_prefetch, is_same_origin
from ..problems import PROBLEMS
from ..services import Services
from ..web import call_app_function, get_services
from .causes import problem_of_login
from .completion import Target, fail_login, finish_login, go_on, store_key


def login() -> Response:
    """Start a login: remember it in this browser and send the visitor to OpenRouter."""
    if (refusal := refuse_background_load()) is not None:
        return refusal
    services = get_services()
    target = _target_of_request()
    try:
        if (response := _resume(target)) is not None:
            return response
        callback_url = services.callback_address.for_request()
        asked = services.pending_logins.start(
            next_url=target.next_url, is_cross_site=is_cross_site(), is_popup=target.is_popup
        )
    except (LoginError, KeyStorageError) as error:
        # Handled outside of the clause: an exception of the app in there would have this as its
        # context, with frames that hold the state.
        failure = error
    else:
        return see_other(authorization_url(services, asked, callback_url))
    return fail_login(problem_of_login(failure), target, failure)


def _resume(target: Target) -> Response | None:
    """Return the response for a visitor who needs no new key, or for whom one would not help."""
    try:
        connection = get_connection()
        if not connection.is_set_aside:
            return None
        is_connected = connection.restore()
    except KeyStorageError:
        # The callback will say so, before a code is spent. By then the storage may be back.
        return None
    if is_connected:
        return go_on(target)
    if connection.is_set_aside_again:
        return show_problem(
            PROBLEMS["new_key_rejected"], next_url=target.next_url, is_popup=target.is_popup
        )
    return None


def authorization_url(
    services: Services, asked: AuthorizationRequest, callback_url: str | None
) -> str:
    """Return the address at OpenRouter for this login; without a callback URL it is headless.

    Raises ValueError when the app's ``key_options`` are wrong.
    """
    challenge = services.client.create_code_challenge(asked.code_verifier)
    places = services.consent_places.get(callback_url)
    if places is not None and services.app_functions.key_options is None:
        return f"{places[0]}{asked.state}{places[1]}{challenge}{places[2]}"
    settings = services.settings
    options: dict[str, Any] = {
        "limit": settings.key_limit,
        "key_label": settings.key_label,
        "workspace_id": settings.workspace_id,
        "required_workspace_id": settings.required_workspace_id,
    }
    known = len(options)
    if services.app_functions.key_options is not None:
        options |= call_app_function(services.app_functions.key_options) or {}
    if len(options) > known:
        raise ValueError(
            "key_options returns limit, key_label, workspace_id and required_workspace_id,"
            " nothing else."
        )
    state = None if callback_url is None else asked.state
    url = services.client.authorization_url(callback_url, challenge, state=state, **options)
    if state is not None and services.app_functions.key_options is None:
        # The checked address of one callback URL, with the places of the state and the challenge.
        before, _, rest = url.partition(state)
        between, _, after = rest.partition(challenge)
        services.consent_places.clear()
        services.consent_places[callback_url] = before, between, after
    return url


def callback() -> Response:
    """Finish a login: check the state, exchange the code once, store the key, go on."""
    if (refusal := refuse_background_load()) is not None:
        return refusal
    return finish_login(get_services(), read_callback, Target())


def connected() -> Response:
    """End a login in a popup: a small script tells the page that opened it, and closes it.

    The script is only for a browser that has just finished such a login. Otherwise a link from
    another site could make it open a page of this one as if from a page of this site.
    """
    next_url = next_of_request()
    is_visit = request.method == "GET" and is_navigation() and not is_prefetch()
    closes = is_visit and get_services().pending_logins.take_popup(next_url)
    page = render_page("openrouter/connected.html", next_url=landing_url(next_url), closes=closes)
    return protect_page(make_response(page), scripts=closes)


def show_code_form() -> Response:
    """Start a login and show the link to OpenRouter and the box to paste its code into."""
    if (refusal := refuse_background_load()) is not None:
        return refusal
    services = get_services()
    target = _target_of_request()
    try:
        if (response := _resume(target)) is not None:
            return response
        asked = services.pending_logins.start(
            next_url=target.next_url, is_cross_site=is_cross_site(), is_popup=target.is_popup
        )
    except KeyStorageError as error:
        failure = error
    else:
        page = render_page(
            "openrouter/code.html",
            authorization_url=authorization_url(services, asked, None),
            state=asked.state,
        )
        return protect_page(make_response(page))
    return fail_login(problem_of_login(failure), target, failure)


def take_pasted_code() -> Response:
    """Finish one of this browser's logins with the code that was pasted."""
    if not is_same_origin():
        return show_problem(PROBLEMS["cross_site"])
    target = _target_of_request()
    return finish_login(get_services(), _read_form, target)


def _target_of_request() -> Target:
    return Target(next_of_request(), is_popup_request())


def _read_form(base_url: str) -> Callback:
    return read_pasted(request.form.get("code", ""), request.form.get("state", ""), base_url)


def save() -> Response:
    """Store a key that the storage refused a moment ago, without asking OpenRouter again."""
    if not is_same_origin():
        return show_problem(PROBLEMS["cross_site"])
    services = get_services()
    target = _target_of_request()
    parked = services.parked_keys.find()
    if parked is None:
        if services.parked_keys.is_announced() and get_connection():
            # A second click on Save: the first one stored the key.
            return go_on(target)
        return show_problem(
            PROBLEMS["nothing_to_save"], next_url=target.next_url, is_popup=target.is_popup
        )
    storage_error = store_key(services, get_connection(), parked.owner_id, parked.record)
    if storage_error is not None:
        return fail_login(PROBLEMS["not_saved"], target, storage_error)
    services.pending_logins.finish_saved()
    return go_on(target)
