"""Why a login may have been lost: for the error page of an app in debug mode.

Quick, without network or storage, and without a word of the request.
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
from .finding import Finding, examine, problem, warning
from .session_cookie import check_attributes, check_reach
from .settings import check_settings

#: The problems that wrong settings may be behind.
CODES: Final = frozenset({"unknown", "insecure_address", "cross_site"})


def explain_lost_login() -> tuple[Finding, ...]:
    """Return what the settings of this app and the cookies of this request tell."""
    # A check that fails is a finding: the page is shown in any case.
    return examine("lost_login", "Lost login", _look, Case.of(this_app())).findings


def _look(case: Case) -> Iterator[Finding]:
    yield from check_settings(case)
    yield from check_attributes(case)
    here = Site(request.scheme, request.host)
    yield from check_reach(case, here, request.script_root + case.path_of("openrouter.callback"))
    yield from check_callback_url(case)
    yield from _check_cookie_of_request(case)


def _check_cookie_of_request(case: Case) -> Iterator[Finding]:
    app, interface = case.app, case.app.session_interface
    cookie = request.cookies.get(interface.get_cookie_name(app))
    if cookie is None:
        yield warning(
            "session_cookie_absent",
            "The browser sent no session cookie with this request.",
            "Start and finish a login at the same address: localhost and 127.0.0.1 do not share"
            " cookies, nor do two ports of which one is https. Allow cookies.",
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
                "The browser sent a session cookie that does not open: it was signed with another"
                " SECRET_KEY, or is older than PERMANENT_SESSION_LIFETIME.",
                "Give SECRET_KEY one value that stays. One that is made when the app starts is"
                " another after each restart, which includes the reloader's.",
            )
