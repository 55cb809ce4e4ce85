"""Likely causes of a lost login, for the error page of an app in debug mode.

The checks are quick, use neither network nor storage, and quote nothing of the request.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from flask import request
from flask.sessions import SecureCookieSessionInterface
from itsdangerous import BadSignature

from ..web import this_app
from .addresses import check_callback_url
from .case import Case, Site
from .finding import Finding, problem, run_check, warning
from .session_cookie import check_attributes, check_scope
from .settings import check_settings

#: The codes of the error pages that wrong settings can cause.
CODES: Final = frozenset({"unknown", "insecure_address", "cross_site"})


def explain_lost_login() -> tuple[Finding, ...]:
    """Return the findings on the settings of this app and the cookies of this request."""
    # A check that fails is a finding, so the error page is shown in any case.
    return run_check("lost_login", "Lost login", _check, Case.of(this_app())).findings


def _check(case: Case) -> Iterator[Finding]:
    yield from check_settings(case)
    yield from check_attributes(case)
    site = Site(request.scheme, request.host)
    yield from check_scope(case, site, request.script_root + case.path_of("openrouter.callback"))
    yield from check_callback_url(case)
    yield from _check_cookie(case)


def _check_cookie(case: Case) -> Iterator[Finding]:
    app, interface = case.app, case.app.session_interface
    cookie = request.cookies.get(interface.get_cookie_name(app))
    if cookie is None:
        yield warning(
            "session_cookie_absent",
            "The browser sent no session cookie with this request.",
            "Start and finish a login at the same address. localhost and 127.0.0.1 do not share"
            " cookies, nor do an http and an https address. Allow cookies.",
        )
    elif isinstance(interface, SecureCookieSessionInterface):
        serializer = interface.get_signing_serializer(app)
        lifetime = int(app.permanent_session_lifetime.total_seconds())
        try:
            if serializer is not None:
                serializer.loads(cookie, max_age=lifetime)
        except BadSignature:
            is_readable = False
        else:
            is_readable = True
        if not is_readable:
            yield problem(
                "session_cookie_unreadable",
                "The session cookie of this browser cannot be read: it was signed with another"
                " SECRET_KEY, or is older than PERMANENT_SESSION_LIFETIME.",
                "Give SECRET_KEY one lasting value. A key that is generated when the app starts"
                " changes with every restart, including those of the reloader.",
            )
