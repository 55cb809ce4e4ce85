"""A trial login: one visit to the login route, inside this process."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any, Final

from flask import Flask, request, request_started
from werkzeug.test import Client, TestResponse

from ..problems import PROBLEMS
from .case import Case, Site
from .finding import Finding, location_of, problem, warning

#: The cookie of a login, with a value.
_LOGIN_COOKIE: Final = re.compile(r"(__Host-)?openrouter[A-Za-z0-9_-]*\.[A-Za-z0-9_-]{8}=[^;]")
# One value for each proxy that an app may trust.
_FORWARDED_HTTPS: Final = {"X-Forwarded-Proto": "https, https, https"}
_HEADERS: Final = {
    "Accept": "application/json",
    "Sec-Fetch-Mode": "navigate",
    "Sec-Fetch-Dest": "document",
    "User-Agent": "Flask-OpenRouter doctor",
}


def check_login(case: Case) -> Iterator[Finding]:
    """Start a login as a visitor would, and examine the response. No network is used."""
    site = case.site
    try:
        if site.scheme == "https":
            response, is_secure = _visit(case, Site("http", site.host), _FORWARDED_HTTPS)
            if not is_secure:
                yield warning(
                    "proxy_fix_missing",
                    "The app ignores X-Forwarded-Proto. Behind a proxy that handles https, it may"
                    " refuse logins and send cookies without Secure.",
                    "Set app.wsgi_app = ProxyFix(app.wsgi_app, x_proto=1, x_host=1), from"
                    " werkzeug.middleware.proxy_fix, unless the server reads the header, as"
                    " gunicorn does for a proxy on its machine.",
                )
                response, _ = _visit(case, site, {})
        else:
            response, _ = _visit(case, site, {})
    except (Exception, SystemExit) as error:
        yield problem(
            "login_fails",
            f"The login route raises {type(error).__name__} at {location_of(error)}.",
            "Correct what raises it: a function of the app that runs before or after requests.",
        )
        return
    yield from _check_response(case, response)


def check_callback(case: Case) -> Iterator[Finding]:
    """Come back with a code that no login has asked for. Only this extension may refuse it."""
    query = {"state": "doctor-asks-for-a-refusal", "code": "doctor-asks-for-a-refusal"}
    if not _starts_login(case):
        # The check before tells why, and the app may refuse both for one reason.
        return
    try:
        response, _ = _visit(case, case.site, {}, "openrouter.callback", query)
    except (Exception, SystemExit) as error:
        yield problem(
            "callback_fails",
            f"The callback route raises {type(error).__name__} at {location_of(error)}.",
            "Correct what raises it: a function of the app that runs before or after requests.",
        )
        return
    if _error_code(response) not in PROBLEMS:
        yield problem(
            "callback_fails",
            "The app itself responds to the callback route, with HTTP"
            f" {response.status_code}, so no login can finish.",
            "Exempt the blueprint 'openrouter' from the function that refuses it, such as a"
            " before_request check of the origin or a limit.",
        )


def _starts_login(case: Case) -> bool:
    try:
        response, _ = _visit(case, case.site, {})
    except (Exception, SystemExit):
        return False
    return response.headers.get("Location", "").startswith(f"{case.settings.base_url}/auth?")


def _visit(
    case: Case,
    site: Site,
    headers: dict[str, str],
    endpoint: str = "openrouter.login",
    query: dict[str, str] | None = None,
) -> tuple[TestResponse, bool]:
    """Return the response, and whether the app considered the request secure."""
    seen = []

    def note(sender: Flask, **_: Any) -> None:
        seen.append(request.is_secure)

    with request_started.connected_to(note, case.app):
        response = Client(case.app, use_cookies=False).get(
            case.path_of(endpoint),
            query_string=query,
            base_url=f"{site.scheme}://{site.host}",
            headers={**_HEADERS, **headers},
        )
    return response, any(seen)


def _check_response(case: Case, response: TestResponse) -> Iterator[Finding]:
    status, location = response.status_code, response.headers.get("Location", "")
    if status == 303 and location.startswith(f"{case.settings.base_url}/auth?"):
        yield from _check_cookie(response)
    elif (known := PROBLEMS.get(_error_code(response))) is not None:
        yield problem(
            "login_fails",
            f"The login route returns the error page {known.code!r}: {known.title}.",
            " ".join(known.hints) or known.message,
        )
    elif status in (301, 302, 303, 307, 308, 401, 403):
        yield warning(
            "login_redirected",
            f"The app itself responds to the login route, with HTTP {status}, so the route does"
            " not lead to OpenRouter.",
            "This is right if visitors must sign in first. Otherwise exempt the blueprint"
            " 'openrouter' from the sign-in, or make the app see that the request uses https.",
        )
    else:
        yield problem(
            "login_fails",
            f"The login route returns HTTP {status} and does not lead to OpenRouter.",
            "Look for a function of the app that runs before requests, a middleware, or a host"
            " that TRUSTED_HOSTS refuses.",
        )


def _error_code(response: TestResponse) -> str:
    document = response.get_json(silent=True)
    return str(document.get("error")) if isinstance(document, dict) else ""


def _check_cookie(response: TestResponse) -> Iterator[Finding]:
    lines = response.headers.getlist("Set-Cookie")
    if not any(_LOGIN_COOKIE.match(line) for line in lines):
        yield problem(
            "login_cookie_not_sent",
            "The login route sends no cookie, so the login is lost.",
            "Make sure that no function of the app and no middleware removes the cookie.",
        )
