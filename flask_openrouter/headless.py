"""Logins without a callback: the visitor pastes the code that OpenRouter shows.

For apps that OpenRouter cannot send anybody back to: in containers, on a LAN, behind SSH
(OpenRouter guide "OAuth PKCE", headless apps).
"""

from __future__ import annotations

from flask import Response, make_response, render_template, request

from .authorization import authorization_url, start_authorization
from .callback import read_pasted
from .completion import fail, finish
from .errors import KeyStorageError
from .fetch_metadata import is_cross_site, is_same_origin, refuse_background_load
from .pages import next_of_request, protect_page, show_problem
from .problems import PROBLEMS, problem_of_login
from .services import get_services


def show_code_form() -> Response:
    """Start a login and show the link to OpenRouter and the box to paste its code into."""
    if (refusal := refuse_background_load()) is not None:
        return refusal
    services = get_services()
    next_url = next_of_request()
    try:
        pending = start_authorization(services, next_url=next_url, is_cross_site=is_cross_site())
    except KeyStorageError as error:
        failure = error
    else:
        page = render_template(
            "openrouter/code.html",
            authorization_url=authorization_url(services, pending, None),
            state=pending.state,
        )
        return protect_page(make_response(page))
    return fail(problem_of_login(failure), next_url, failure)


def take_pasted_code() -> Response:
    """Finish a login with the code that was pasted. Only this browser's own logins can be."""
    if not is_same_origin():
        return show_problem(PROBLEMS["cross_site"])
    services = get_services()
    form = request.form
    return finish(
        services,
        lambda: read_pasted(
            form.get("code", ""), form.get("state", ""), services.settings.base_url
        ),
    )
