"""Addresses: the extension's own routes, and the paths that a login may lead to."""

from __future__ import annotations

import re
from urllib.parse import quote, unquote

from flask import url_for
from werkzeug.urls import iri_to_uri

from ..login.callback import route_url
from ..web import get_services, this_request
from .visit import is_htmx

#: Longer addresses are dropped: they would fill the session cookie.
MAX_NEXT_LENGTH = 1024

#: The form for a pasted code, and where it is sent to.
_CODE_FORM = ("openrouter.code", "openrouter.take_pasted_code")

#: RFC 3986 (section 3.3) allows these in a path besides letters, digits and "-._~".
_PATH_CHARACTERS = "!$&'()*+,/:;=@"
#: A query may have these unescaped besides those, but not "&=" (RFC 3986, section 3.4).
_QUERY_CHARACTERS = "!$'()*,/:;?@"
# One slash, not two. No backslash, which browsers take for a slash, and no control characters:
# browsers delete tabs and newlines before they parse.
_LOCAL_PATH = re.compile(r"/(?!/)[^\x00-\x1f\\\x7f-\xa0\u2028\u2029\ufeff\ud800-\udfff]*")
# Most have nothing that needs a closer look.
_PLAIN_PATH = re.compile(r"(/[A-Za-z0-9_~-][A-Za-z0-9._~-]*)+")
# A variable of a rule, such as <lang> or <path:tenant>.
_VARIABLE = re.compile("<[^>]*>")
# The same behind one layer of percent-encoding, which servers and frameworks may remove.
_HIDDEN = re.compile(r"^//|[\x00-\x1f\x7f\\]|(^|/)\.\.?(/|$)")

# The path of a script: by its ending, or by a usual name of a worker.
_WORKER = re.compile(
    r"\.([cm]?[jt]s|[jt]sx|css|map|json|wasm)$|(^|/)(sw|(service|shared|web)?[-_]?worker)$", re.I
)


def safe_next(value: object, *, own_path: str) -> str | None:
    """Return ``value`` as an address that is safe to redirect to, or None.

    Safe is an absolute path on this host, with query and fragment, of at most 1,024 characters,
    in ASCII (RFC 3986; other characters are percent-encoded). ``own_path``: the path of the
    extension's routes, such as ``"/openrouter"`` or ``"/<lang>/openrouter"``; a login never leads
    to one of them.
    """
    if not isinstance(value, str) or len(value) > MAX_NEXT_LENGTH:
        return None
    own_path = own_path.lower()
    if _PLAIN_PATH.fullmatch(value) and not value.lower().startswith(own_path.partition("<")[0]):
        return value
    if not _LOCAL_PATH.fullmatch(value):
        return None
    try:
        url = iri_to_uri(value)
        path = unquote(url.partition("#")[0].partition("?")[0], errors="strict")
    except ValueError:
        return None
    if not _LOCAL_PATH.fullmatch(url) or _HIDDEN.search(path) or len(url) > MAX_NEXT_LENGTH:
        return None
    # Werkzeug redirects from two slashes in a row to one.
    path = re.sub("//+", "/", path.lower())
    own_route = _VARIABLE.sub(_any_value, re.escape(own_path))
    if re.match(f"{own_route}/", f"{path}/"):
        return None
    return url


def _any_value(variable: re.Match[str]) -> str:
    return ".+" if variable[0].startswith("<path:") else "[^/]+"


def own_path() -> str:
    """Return the decoded path that all our routes begin with, such as ``/openrouter``.

    It may have variables, such as ``/<lang>/openrouter``: the routes of any language are ours.
    """
    return f"{this_request().script_root}{get_services().url_prefix}"


def login_url_for(next_url: str | None, *, is_popup: bool = False, is_by_code: bool = False) -> str:
    """Return the address of a login that leads to ``next_url``, which must be checked already.

    ``is_popup``: the login runs in a window of its own. ``is_by_code``: the visitor pastes a code.
    """
    endpoint = "openrouter.code" if is_by_code else "openrouter.login"
    url = url_for(endpoint, display="popup") if is_popup else route_url(endpoint)
    if next_url is None:
        return url
    # The app's url_defaults may have added parameters.
    separator = "&" if "?" in url else "?"
    # The same result as from url_for, in a third of the time.
    return f"{url}{separator}next={_encode(next_url, _QUERY_CHARACTERS)}"


def _encode(text: str, safe: str) -> str:
    return text if _PLAIN_PATH.fullmatch(text) else quote(text, safe=safe)


def home_url() -> str:
    """Return the address of the app's front page."""
    return f"{this_request().script_root}/"


def landing_url(next_url: str | None) -> str:
    """Return where a login leads: ``next_url``, checked already, or else the app's own choice."""
    return next_url or get_services().settings.login_redirect_url or home_url()


def checked_next(value: object) -> str | None:
    """Return ``value`` as an address on this host that a login may lead to, or None."""
    return safe_next(value, own_path=own_path())


def next_of_request() -> str | None:
    """Return the ``next`` parameter of this request's query or form, if it is safe."""
    return checked_next(_parameter("next"))


def is_popup_request() -> bool:
    """Whether the page that this request asks for is shown in a window of its own."""
    return _parameter("display") == "popup"


def is_code_request() -> bool:
    """Whether this request belongs to a login by a pasted code.

    OpenRouter may be unable to send this visitor back, so another login must be one, too.
    """
    endpoint = this_request().endpoint
    return endpoint in _CODE_FORM or (endpoint == "openrouter.save" and _parameter("by") == "code")


def _parameter(name: str) -> str | None:
    # A form may have it in its address, too.
    return this_request().values.get(name)


def page_of_visitor(*, from_script: bool) -> str | None:
    """Return the path of the page that the visitor is on, if it is safe to come back to."""
    request = this_request()
    if request.method in ("GET", "HEAD") and not from_script:
        # Not request.url, which does not encode a percent sign in the path.
        page = _encode(request.script_root + request.path, _PATH_CHARACTERS)
        if request.query_string:
            page += f"?{request.query_string.decode(errors='replace')}"
    else:
        # A request with a body is never replayed, and the address of a script's request is not a
        # page. Both return to the page that made the request. htmx names it, because a page may
        # send no Referer, or only its origin (htmx documentation, "Request Headers").
        here = request.headers.get("HX-Current-URL") if is_htmx() else None
        scheme, _, rest = (here or request.referrer or "").partition("://")
        host, slash, path = rest.partition("/")
        if (scheme, host) != (request.scheme, request.host):
            return None
        page = slash + path
        if _WORKER.search(path.partition("#")[0].partition("?")[0]):
            # What a worker fetches has the worker's script as its Referer.
            return None
    return checked_next(page)
