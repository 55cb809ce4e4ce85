"""The extension's own responses: pages for people, JSON for scripts, and their headers."""

from __future__ import annotations

import logging
import math
import secrets
from collections.abc import Mapping, Sequence
from functools import cache, partial
from typing import TYPE_CHECKING, Final
from urllib.parse import quote, urlsplit

from flask import Response, current_app, json, jsonify, make_response, url_for
from werkzeug.datastructures import Headers
from werkzeug.exceptions import HTTPException

from ..client.base_url import credits_url, keys_url
from ..errors import APIError, KeyStorageError, OpenRouterError
from ..log import log_note
from ..problems import PROBLEMS, Problem
from ..web import get_services, request_state, this_app, this_request
from ..web.caching import complete_vary
from .language import gettext, translated
from .templates import render_page
from .urls import home_url, login_url_for, page_of_visitor
from .visit import is_event_source, is_htmx, is_navigation, is_prefetch, is_script

if TYPE_CHECKING:
    from ..doctor.finding import Finding

logger: Final = logging.getLogger("flask_openrouter")

#: Seconds after which a client may try again if OpenRouter does not say.
_WAIT: Final = 30
#: The attribute of an exception that holds the response that it stands for.
_RAISED: Final = "_openrouter_response"
_PLAIN: Final = "text/plain; charset=utf-8"
_SCRIPTS: Final = "; script-src 'self'"
#: Milliseconds after which an ``EventSource`` asks again.
_RETRY_MS: Final = 60_000
#: Characters of a query that need no encoding.
_QUERY: Final = "!$&'()*+,/:;=?@%"
#: Never empty: the server hypercorn answers 500 to a response without a body.
_REDIRECTING: Final = b"Redirecting.\n"
_REDIRECTION: Final = (("Content-Type", _PLAIN), ("Content-Length", str(len(_REDIRECTING))))
_HEADERS: Final = (
    ("Cache-Control", "no-store"),
    ("Referrer-Policy", "no-referrer"),
    ("X-Content-Type-Options", "nosniff"),
    ("X-Frame-Options", "DENY"),
)


def as_exception(response: Response) -> HTTPException:
    """Return an exception to raise, so that no decorator above the view takes it for a value.

    Flask answers with the response that such an exception has.
    """
    error = HTTPException(response=response)
    vars(error)[_RAISED] = response
    return error


def response_in(error: Exception) -> Response | None:
    """Return the response of an exception that :func:`as_exception` has made, or None."""
    response: Response | None = vars(error).get(_RAISED)
    return response


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
    response.headers[:] = [*headers, ("Vary", complete_vary(vary, "Cookie"))]
    request_state().is_own = True
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
    services = get_services()
    ours = _protection(services.settings.login_redirect_url or "", scripts=False)
    # At once: each later look at a header goes through all of them.
    expected = [*_REDIRECTION, ("Location", url), *ours.values(), ("Vary", "Cookie")]
    headers = Headers()
    headers[:] = expected
    response = this_app().response_class([_REDIRECTING], "303 SEE OTHER", headers)
    if [*response.headers] != expected:
        # The app's class has its own.
        return protect_page(response)
    request_state().is_own = True
    services.login_cookies.trim()
    return response


def show_callback_page(title: str, message: str, *, status: int, goes_on: bool) -> Response:
    """Return a page that leads to the same address again, by a link.

    ``title`` and ``message``: in English. ``goes_on``: also by itself. The address holds a code, so
    the page does not repeat it.
    """
    page = render_page(
        "openrouter/callback.html",
        title=gettext(title),
        message=gettext(message),
        goes_on=goes_on,
    )
    response = make_response(page)
    response.status_code = status
    return protect_page(response)


def _short_text(text: str, status: int) -> Response:
    return this_app().response_class(f"{text}\n", status=status, content_type=_PLAIN)


def show_data(status: int, **values: object) -> Response:
    """Return these values as JSON with this status; to an ``EventSource``, as an event.

    An ``EventSource`` cannot read a response whose status is an error. So it gets the status 200
    and one event, whose name is ``openrouter`` and whose data are the same JSON.
    """
    if is_event_source():
        # It connects again by itself: not every few seconds, as it would by default.
        event = f"retry: {_RETRY_MS}\nevent: openrouter\ndata: {json.dumps(values)}\n\n"
        return protect_page(
            this_app().response_class(event, content_type="text/event-stream; charset=utf-8")
        )
    response = jsonify(values)
    response.status_code = status
    return protect_page(response)


def refuse_background_load() -> Response | None:
    """Return a refusal, or None if a person visits this address.

    HEAD, prefetch and sub-resources neither start nor finish anything.
    """
    if this_request().method == "HEAD":
        return protect_page(this_app().response_class(status=204))
    if is_prefetch():
        return protect_page(_short_text("Not loaded in advance.", 503))
    if is_navigation():
        return None
    response = show_problem(PROBLEMS["not_a_visit"])
    request = this_request()
    if is_htmx() and request.endpoint != "openrouter.callback":
        # A link to the login on a page with hx-boost. htmx then opens the address in the tab.
        query = request.query_string.decode("latin-1")
        path = url_for(request.endpoint or "", **(request.view_args or {})).partition("?")[0]
        response.headers["HX-Redirect"] = f"{path}?{quote(query, safe=_QUERY)}" if query else path
    return response


def show_problem(
    problem: Problem,
    *,
    next_url: str | None = None,
    is_popup: bool = False,
    error: OpenRouterError | None = None,
) -> Response:
    """Return the problem as a page for people, JSON for scripts, or a piece of HTML for htmx.

    ``next_url``: where a new login leads; already checked. ``is_popup``: whether it runs in this
    window and closes it. ``error``: the cause, for the log; the time to wait and the page that
    helps come from it as well.
    """
    reference = secrets.token_hex(4)
    cause = "" if error is None else f" {error}"
    logger.warning(
        "%s (%s): shown with reference %s.%s%s",
        problem.title,
        problem.code,
        reference,
        cause,
        log_note(),
    )
    base_url = get_services().settings.base_url
    login_url = login_url_for(next_url, is_popup=is_popup)
    from_script = is_script()
    if from_script and not (is_htmx() and problem.is_of_call):
        response = show_data(
            problem.status,
            error=problem.code,
            message=gettext(problem.title),
            login_url=login_url,
            reference=reference,
        )
    else:
        page = partial(
            render_page,
            f"openrouter/{'problem' if from_script else 'error'}.html",
            problem=translated(problem),
            retry_url=page_of_visitor(from_script=from_script) or home_url(),
            login_url=login_url,
            save_url=url_for(
                "openrouter.save", next=next_url, display="popup" if is_popup else None
            ),
            home_url=home_url(),
            keys_url=keys_url(base_url),
            credits_url=credits_url(base_url),
            help_url=error.help_url if isinstance(error, APIError) else None,
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
    if problem.status == 429:
        seconds = error.retry_after if isinstance(error, APIError) else None
        response.headers["Retry-After"] = str(math.ceil(seconds or _WAIT))
    return protect_page(response)


def _findings(problem: Problem) -> Sequence[Finding]:
    """Return likely causes of a lost login, for the developer of an app in debug mode."""
    if not current_app.debug:
        return ()
    from ..doctor.lost_login import CODES, explain_lost_login

    return explain_lost_login(problem.code) if problem.code in CODES else ()
