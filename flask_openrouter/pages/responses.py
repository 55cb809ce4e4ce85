"""The extension's own responses: pages for people, JSON for scripts, and their headers."""

from __future__ import annotations

import logging
import secrets
from collections.abc import Mapping, Sequence
from functools import cache, partial
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

from flask import Response, current_app, jsonify, make_response, render_template, url_for

from ..client.base_url import credits_url, keys_url
from ..errors import KeyStorageError, OpenRouterError
from ..problems import PROBLEMS, Problem
from ..web import get_services, request_state, this_app, this_request, vary_with_cookie
from .urls import home_url, login_url_for
from .visit import is_navigation, is_prefetch, is_script

if TYPE_CHECKING:
    from ..doctor.finding import Finding

logger: Final = logging.getLogger("flask_openrouter")

_PLAIN: Final = "text/plain; charset=utf-8"
_SCRIPTS: Final = "; script-src 'self'"
_HEADERS: Final = (
    ("Cache-Control", "no-store"),
    ("Referrer-Policy", "no-referrer"),
    ("X-Content-Type-Options", "nosniff"),
    ("X-Frame-Options", "DENY"),
)


def protect_page(response: Response, *, scripts: bool = False) -> Response:
    """Add the headers of our pages: not cached, not framed, no referrer.

    They replace the headers that the app gives to each of its responses. ``scripts`` allows our own
    script files; nothing is ever inline.
    """
    ours = _protection(get_services().settings.login_redirect_url or "", scripts)
    headers, vary = [*ours.values()], []
    for name, value in response.headers:
        if name.lower() == "vary":
            vary.append(value)
        elif name.lower() not in ours:
            headers.append((name, value))
    response.headers[:] = [*headers, ("Vary", vary_with_cookie(vary))]
    get_services().login_cookies.trim()
    return response


@cache
def _protection(landing_url: str, scripts: bool) -> Mapping[str, tuple[str, str]]:
    # Browsers apply form-action to every redirect, and a login may end on another site.
    landing = urlsplit(landing_url)
    targets = f"'self' {landing.scheme}://{landing.netloc}" if landing.netloc else "'self'"
    policy = (
        f"default-src 'none'; style-src 'self'; form-action {targets}; frame-ancestors 'none';"
        f" base-uri 'none'{_SCRIPTS if scripts else ''}"
    )
    headers = (*_HEADERS, ("Content-Security-Policy", policy))
    return {name.lower(): (name, value) for name, value in headers}


def see_other(url: str) -> Response:
    """Redirect with 303 to this address, which is already checked."""
    response = this_app().response_class(status=303, content_type=_PLAIN)
    response.headers["Location"] = url
    return protect_page(response)


def show_callback_page(title: str, message: str, *, status: int, goes_on: bool) -> Response:
    """Return a page that leads to the same address again, by a link.

    ``goes_on``: also by itself. The address holds a code, so the page does not repeat it.
    """
    page = render_template(
        "openrouter/callback.html", title=title, message=message, goes_on=goes_on
    )
    response = make_response(page)
    response.status_code = status
    return protect_page(response)


def refuse_background_load() -> Response | None:
    """Return a refusal, or None if a person visits this address.

    HEAD, prefetch and sub-resources neither start nor finish anything.
    """
    if this_request().method == "HEAD":
        return protect_page(this_app().response_class(status=204))
    if is_prefetch():
        return protect_page(this_app().response_class(status=503))
    return None if is_navigation() else show_problem(PROBLEMS["not_a_visit"])


def show_problem(
    problem: Problem,
    *,
    next_url: str | None = None,
    is_popup: bool = False,
    error: OpenRouterError | None = None,
) -> Response:
    """Return the problem as a page that links to a new login, or as JSON for scripts.

    ``next_url``: where that login leads; already checked. ``is_popup``: whether it runs in this
    window and closes it. ``error``: the cause, for the log only.
    """
    reference = secrets.token_hex(4)
    cause = "" if error is None else f" {error}"
    logger.warning(
        "%s (%s): shown with reference %s.%s", problem.title, problem.code, reference, cause
    )
    base_url = get_services().settings.base_url
    login_url = login_url_for(next_url, is_popup=is_popup)
    if is_script():
        response = jsonify(
            error=problem.code, message=problem.title, login_url=login_url, reference=reference
        )
    else:
        page = partial(
            render_template,
            "openrouter/error.html",
            problem=problem,
            login_url=login_url,
            save_url=url_for(
                "openrouter.save", next=next_url, display="popup" if is_popup else None
            ),
            home_url=home_url(),
            keys_url=keys_url(base_url),
            credits_url=credits_url(base_url),
            reference=reference,
            findings=_findings(problem),
        )
        try:
            response = make_response(page())
        except KeyStorageError:
            # The app's layout asks for the connection, and the storage fails again.
            request_state().hides_connection = True
            response = make_response(page())
    response.status_code = problem.status
    return protect_page(response)


def _findings(problem: Problem) -> Sequence[Finding]:
    """Return likely causes of a lost login, for the developer of an app in debug mode."""
    if not current_app.debug:
        return ()
    from ..doctor.lost_login import CODES, explain_lost_login

    return explain_lost_login(problem.code) if problem.code in CODES else ()
