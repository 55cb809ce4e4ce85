"""A login that is started for trial: one visit to the login route, inside this process."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

from flask import Flask, request, request_started
from werkzeug.test import Client, TestResponse

from ..login.pending import MAX_COOKIE
from ..problems import PROBLEMS
from .case import Case, Site
from .finding import Finding, place_of, problem, warning

#: What a login under way adds to the session at most, in bytes, with other logins in other tabs.
_ROOM: Final = 1000
# As many as an app may be told to trust, behind as many proxies.
_HTTPS_TOLD: Final = {"X-Forwarded-Proto": "https, https, https"}
_HEADERS: Final = {
    "Accept": "application/json",
    "Sec-Fetch-Mode": "navigate",
    "Sec-Fetch-Dest": "document",
    "User-Agent": "Flask-OpenRouter doctor",
}


def check_login(case: Case) -> Iterator[Finding]:
    """Start a login as a visitor would, and look at the answer. Nothing leaves this process."""
    site = case.site
    try:
        if site.scheme == "https":
            answer, is_secure = _visit(case, Site("http", site.host), _HTTPS_TOLD)
            if not is_secure:
                yield warning(
                    "proxy_fix_missing",
                    "The app does not notice when a proxy speaks https for it (X-Forwarded-Proto):"
                    " logins may be refused, and cookies go without Secure.",
                    "Behind such a proxy set app.wsgi_app = ProxyFix(app.wsgi_app, x_proto=1,"
                    " x_host=1), from werkzeug.middleware.proxy_fix. Not needed where the server"
                    " itself tells the app, as gunicorn does with a proxy on the same machine.",
                )
                answer, _ = _visit(case, site, {})
        else:
            answer, _ = _visit(case, site, {})
    except Exception as error:
        yield problem(
            "login_fails",
            f"The login route raises {type(error).__name__} at {place_of(error)}.",
            "Correct what raises it: a function of the app's that runs before or after requests.",
        )
        return
    yield from _check_answer(case, answer)


def _visit(case: Case, site: Site, headers: dict[str, str]) -> tuple[TestResponse, bool]:
    """Return the answer, and whether the app took the visit for one by https."""
    seen = []

    def note(sender: Flask, **_: Any) -> None:
        seen.append(request.is_secure)

    with request_started.connected_to(note, case.app):
        answer = Client(case.app, use_cookies=False).get(
            case.path_of("openrouter.login"),
            base_url=f"{site.scheme}://{site.host}",
            headers={**_HEADERS, **headers},
        )
    return answer, any(seen)


def _check_answer(case: Case, answer: TestResponse) -> Iterator[Finding]:
    location = answer.headers.get("Location", "")
    if answer.status_code == 303 and location.startswith(f"{case.settings.base_url}/auth?"):
        yield from _check_cookie(case, answer)
    elif (known := PROBLEMS.get(_error_code(answer))) is not None:
        yield problem(
            "login_fails",
            f"The login route answers with the error page {known.code!r}: {known.title}.",
            " ".join(known.hints) or known.message,
        )
    elif answer.status_code in (301, 302, 303, 307, 308, 401, 403):
        yield warning(
            "login_redirected",
            f"The app answers a visit to the login route itself, with HTTP {answer.status_code}, so"
            " it does not lead to OpenRouter.",
            "Right if visitors must sign in first. Otherwise leave the blueprint 'openrouter' out"
            " of what asks them to, or let the app know that it is visited by https.",
        )
    else:
        yield problem(
            "login_fails",
            f"The login route answers with HTTP {answer.status_code}, and does not lead to"
            " OpenRouter.",
            "Look for a function of the app's that runs before requests, a middleware, or a host"
            " that TRUSTED_HOSTS refuses.",
        )


def _error_code(answer: TestResponse) -> str:
    document = answer.get_json(silent=True)
    return str(document.get("error")) if isinstance(document, dict) else ""


def _check_cookie(case: Case, answer: TestResponse) -> Iterator[Finding]:
    name = case.app.session_interface.get_cookie_name(case.app)
    cookies = [line for line in answer.headers.getlist("Set-Cookie") if line.startswith(f"{name}=")]
    if not cookies:
        yield problem(
            "session_not_sent",
            "The answer of the login route carries no session cookie, so the login is lost.",
            "Use a session interface that saves flask.session, and let no function of the app's"
            " remove its cookie.",
        )
        return
    size = len(cookies[-1].partition(";")[0])
    if size > MAX_COOKIE - _ROOM:
        yield warning(
            "session_cookie_size",
            f"The session cookie of a first visit has {size} bytes. Browsers drop it beyond"
            f" {MAX_COOKIE}, and the login with it.",
            "Keep less in flask.session, or keep sessions on the server (Flask-Session).",
        )
