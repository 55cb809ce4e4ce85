"""Our own answers: pages for people, JSON for scripts, and the headers that all of them carry."""

from __future__ import annotations

import logging
import secrets
from collections.abc import Mapping, Sequence
from functools import cache, partial
from typing import TYPE_CHECKING, Final
from urllib.parse import quote, unquote, urlsplit

from flask import (
    Response,
    current_app,
    jsonify,
    make_response,
    render_template,
    url_for,
)

from .caching import vary_by_cookie
from .connection import look_away
from .current import this_app, this_request
from .errors import KeyStorageError, OpenRouterError
from .problems import Problem
from .redirects import safe_next
from .services import get_services

if TYPE_CHECKING:
    from .doctor.finding import Finding

logger: Final = logging.getLogger("flask_openrouter")

#: What RFC 3986 (section 3.3) allows in a path besides letters, digits and "-._~".
_PATH_CHARACTERS: Final = "!$&'()*+,/:;=@"
#: What may stand unescaped in a query besides those, but "&=" (RFC 3986, section 3.4).
_QUERY_CHARACTERS: Final = "!$'()*,/:;?@"
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

    They replace what the app gives to each of its answers. ``scripts`` allows our own script files;
    nothing is ever inline.
    """
    ours = _protection(get_services().settings.login_redirect_url or "", scripts)
    headers = response.headers
    # All at once: to set one after the other takes three times as long.
    others = [(name, value) for name, value in headers if name.lower() not in ours]
    headers.clear()
    headers.extend((*others, *ours.values()))
    vary_by_cookie(response)
    return response


@cache
def _protection(landing_url: str, scripts: bool) -> Mapping[str, tuple[str, str]]:
    # Browsers apply the policy to where a form leads in the end: a login may end on another site.
    landing = urlsplit(landing_url)
    targets = f"'self' {landing.scheme}://{landing.netloc}" if landing.netloc else "'self'"
    policy = (
        f"default-src 'none'; style-src 'self'; form-action {targets}; frame-ancestors 'none';"
        f" base-uri 'none'{_SCRIPTS if scripts else ''}"
    )
    headers = (*_HEADERS, ("Content-Security-Policy", policy))
    return {name.lower(): (name, value) for name, value in headers}


def own_path() -> str:
    """Return the path, decoded, that all our routes begin with, such as ``/openrouter``."""
    prefix = get_services().url_prefix
    if "<" in prefix:
        # Such as "/<lang>/openrouter": the app's url_defaults know the rest.
        return unquote(url_for("openrouter.login").partition("?")[0].removesuffix("/login"))
    return f"{this_request().script_root}{prefix}"


def login_url_for(next_url: str | None) -> str:
    """Return the address of a login that leads to ``next_url``, which is checked."""
    url = url_for("openrouter.login")
    if next_url is None:
        return url
    # The app's url_defaults may have added parameters.
    separator = "&" if "?" in url else "?"
    # Spelt as url_for spells it, which takes three times as long.
    return f"{url}{separator}next={quote(next_url, safe=_QUERY_CHARACTERS)}"


def home_url() -> str:
    """Return the app's front page: where to go when nothing better is known."""
    return f"{this_request().script_root}/"


def landing_url(next_url: str | None) -> str:
    """Return where a login leads: ``next_url``, which is checked, or what the app has set."""
    return next_url or get_services().settings.login_redirect_url or home_url()


def next_of_request() -> str | None:
    """Return the ``next`` parameter of this request's query or form, if it is safe."""
    request = this_request()
    # A form's address may hold it, too.
    next_url = (request.args if request.method == "GET" else request.values).get("next")
    return None if next_url is None else safe_next(next_url, own_path=own_path())


def page_of_visitor(*, from_script: bool) -> str | None:
    """Return the page that the visitor is on, as a safe path to come back to, or None."""
    request = this_request()
    if request.method in ("GET", "HEAD") and not from_script:
        # Not request.url, which leaves a per cent sign of the path as it is.
        path = quote(request.script_root + request.path, safe=_PATH_CHARACTERS)
        query = request.query_string.decode(errors="replace")
        page = f"{path}?{query}" if query else path
    else:
        # A request with a body is never replayed, and a script's address is not a page: both go
        # back to the page they were made from.
        scheme, _, rest = (request.referrer or "").partition("://")
        host, slash, path = rest.partition("/")
        if (scheme, host) != (request.scheme, request.host):
            return None
        page = slash + path
    return safe_next(page, own_path=own_path())


def see_other(url: str) -> Response:
    """Redirect with 303 to an address that is already checked, unchanged."""
    response = this_app().response_class(status=303, content_type=_PLAIN)
    response.headers["Location"] = url
    return protect_page(response)


def is_script() -> bool:
    """Whether a script made this request, so that a redirect to a page would help nobody.

    (Fetch Metadata: ``Sec-Fetch-Mode``, ``Sec-Fetch-Dest``.)
    """
    request = this_request()
    sent = request.environ
    if is_htmx() or sent.get("HTTP_X_REQUESTED_WITH", "").lower() == "xmlhttprequest":
        return True
    if sent.get("HTTP_SEC_FETCH_MODE", "navigate") != "navigate":
        return True
    if sent.get("HTTP_SEC_FETCH_DEST", "document") == "empty":
        return True
    if request.is_json:
        return True
    if sent.get("HTTP_ACCEPT", "").startswith("text/html,"):
        # As every browser begins: nothing can be wanted more, and the rest takes long to read.
        return False
    accepted = request.accept_mimetypes.best_match(["text/html", "application/json"])
    return accepted == "application/json"


def is_htmx() -> bool:
    """Whether htmx made this request (htmx documentation, "Request Headers")."""
    sent = this_request().environ
    is_made_by_htmx: bool = sent.get("HTTP_HX_REQUEST", "").lower() == "true"
    return is_made_by_htmx


def show_problem(
    problem: Problem, *, next_url: str | None = None, error: OpenRouterError | None = None
) -> Response:
    """Answer with the problem: a page that links to a new login, or JSON for scripts.

    ``next_url``: where that login shall end; already checked. ``error``: why, for the log only.
    """
    reference = secrets.token_hex(4)
    cause = "" if error is None else f" {error}"
    logger.warning(
        "%s (%s): shown with reference %s.%s", problem.title, problem.code, reference, cause
    )
    settings = get_services().settings
    login_url = login_url_for(next_url)
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
            save_url=url_for("openrouter.save", next=next_url),
            home_url=home_url(),
            keys_url=f"{settings.base_url}/settings/keys",
            credits_url=f"{settings.base_url}/settings/credits",
            reference=reference,
            findings=_findings(problem),
        )
        try:
            response = make_response(page())
        except KeyStorageError:
            # The app's layout asks who is connected, perhaps of the storage that this is about.
            look_away()
            response = make_response(page())
    response.status_code = problem.status
    return protect_page(response)


def _findings(problem: Problem) -> Sequence[Finding]:
    """Return what may be behind a lost login, for the developer of an app in debug mode."""
    if not current_app.debug:
        return ()
    from .doctor.lost_login import CODES, explain_lost_login

    return explain_lost_login() if problem.code in CODES else ()
