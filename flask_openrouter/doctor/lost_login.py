"""Likely causes of a lost login, for the error page of an app in debug mode.

The checks are quick, use neither network nor storage, and quote nothing of the request.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from typing import Final

from flask import request

from ..web import this_app
from .addresses import check_callback_url
from .case import Case, Site
from .finding import Finding, problem, run_check, warning
from .session_cookie import check_attributes, check_scope
from .settings import check_settings

#: The codes of the error pages that wrong settings can cause.
CODES: Final = frozenset({"unknown", "signed_out", "insecure_address", "cross_site"})


def explain_lost_login(code: str) -> tuple[Finding, ...]:
    """Return the findings on the settings of this app and the cookies of this request.

    ``code``: that of the error page.
    """
    # A check that fails is a finding, so the error page is shown in any case.
    return run_check(
        "lost_login", "Lost login", partial(_check, code=code), Case.of(this_app())
    ).findings


def _check(case: Case, *, code: str) -> Iterator[Finding]:
    yield from check_settings(case)
    if code == "signed_out":
        yield from check_attributes(case)
        site = Site(request.scheme, request.host)
        path = request.script_root + case.path_of("openrouter.callback")
        yield from check_scope(case, site, path)
    yield from check_callback_url(case)
    if code == "unknown":
        yield from _check_cookies(case)


def _check_cookies(case: Case) -> Iterator[Finding]:
    readable, unreadable = case.services.login_cookies.count()
    if unreadable:
        yield problem(
            "login_cookie_unreadable",
            "The cookie of a login in this browser cannot be read: it was signed with another"
            " SECRET_KEY, or belongs to another app of this host.",
            "Give SECRET_KEY one lasting value. A key that is generated when the app starts"
            " changes with every restart, including those of the reloader.",
        )
    elif not readable:
        yield warning(
            "login_cookie_absent",
            "The browser sent no cookie of a login with this request.",
            "Start and finish a login at the same address. localhost and 127.0.0.1 do not share"
            " cookies, nor do an http and an https address. Allow cookies.",
        )
