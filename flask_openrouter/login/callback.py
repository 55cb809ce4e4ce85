"""The callback: the address that OpenRouter sends visitors back to, and what comes with them."""

from __future__ import annotations

import logging
import re
from dataclasses import dataclass, field
from typing import Final
from urllib.parse import parse_qsl

from flask import request, url_for
from werkzeug.datastructures import MultiDict
from werkzeug.urls import iri_to_uri

from ..client.authorization import check_callback_url
from ..client.base_url import is_loopback_url
from ..client.credentials import Unpicklable, is_code
from ..errors import LoginError, StateMismatchError
from ..web import get_services, overrides, this_app, this_request
from .logins import digest

logger: Final = logging.getLogger("flask_openrouter")

SECURE_ON_HTTP: Final = (
    "SESSION_COOKIE_SECURE is set, and visitors come back to plain http (%s): browsers may not keep"
    " the app's session there, so users may not stay signed in. Use https, or unset it for"
    " development."
)
#: Errors that are no decision of the visitor: those of RFC 6749 §4.1.2.1 but ``access_denied``,
#: others that name trouble, and statuses. In small letters and digits, without all else.
_FAILURE: Final = re.compile(
    r"(?!.*(?:denied|deny|denial|declin|cancel|reject|(?<!connection)refus)).*(?:server|internal"
    r"|unavailable|timed?out|overload|busy|maintenance|outage|gateway|network|connection|limit"
    r"|toomany|throttl|quota|exceed|insufficient|conflict|invalid|malformed|badrequest|missing"
    r"|unauthorizedclient|unsupported|notsupported|notfound|expired|fail|error|exception"
    r"|(?<![0-9])(?:5|4(?!0[13]))[0-9]{2}(?![0-9]))"
)
_NEITHER_LETTER_NOR_DIGIT: Final = re.compile(r"[^a-z0-9]+")
#: What is left of an ampersand that was encoded too often, at the beginning of a name.
_LEFTOVER: Final = re.compile(r"&|amp;|#38;|#x26;|%26", re.IGNORECASE)
#: Names of parameters that the app gave to the address, such as ``lang_code``.
_OWN: Final = re.compile(r"(?!amp)[a-z]{2,}[_-]code")
#: A separator that was none, so that the rest of the query became a part of the state.
_REST_OF_QUERY: Final = re.compile(r"(?:code|error)=", re.IGNORECASE)
#: A state in a query, however damaged the rest is.
_STATE: Final = re.compile(r"(?<![A-Za-z_-])state=([A-Za-z0-9_-]{22})")
#: Bytes of the longest query that is read. A callback's holds a state and a code.
_MAX_QUERY: Final = 8192


#: What Flask makes an address of, besides the route and the app's ``url_defaults``.
_PARTS_OF_ADDRESS: Final = (
    "wsgi.url_scheme",
    "HTTP_HOST",
    "SERVER_NAME",
    "SERVER_PORT",
    "SCRIPT_NAME",
)
#: The methods of the app that make an address.
_MAKERS_OF_ADDRESS: Final = ("url_for", "create_url_adapter", "inject_url_defaults")


def route_url(endpoint: str, *, is_external: bool = False) -> str:
    """Return the address of a route of ours. ``is_external``: with scheme and host.

    It is remembered for the next request to the same host: Flask takes long to make it.
    """
    app, environ = this_app(), this_request().environ
    if app.url_default_functions or overrides(app, *_MAKERS_OF_ADDRESS):
        # The app may decide for each request.
        return url_for(endpoint, _external=is_external)
    base = app.config["SERVER_NAME"], *map(environ.get, _PARTS_OF_ADDRESS)
    known = get_services().route_urls
    found = known.get(endpoint)
    if found is None or found[0] != base:
        found = known[endpoint] = base, url_for(endpoint, _external=is_external)
    return found[1]


class CallbackAddress:
    """The address of an app's callback. It warns once of a host or cookie that may be wrong.

    ``configured``: ``OPENROUTER_CALLBACK_URL``, or None.
    """

    def __init__(self, configured: str | None) -> None:
        self._configured = configured
        self._last_checked: str | None = None
        self._has_warned_of_host = False
        self._has_warned_of_cookie = False

    def for_request(self) -> str:
        """Return the callback address for this request.

        The configured one, or else the callback route on this request's host. Raises
        :class:`LoginError` with reason ``insecure_address`` when OpenRouter would refuse to send
        visitors there.
        """
        if self._configured is not None:
            return self._configured
        url = route_url("openrouter.callback", is_external=True)
        return url if url == self._last_checked else self._check(url)

    def _check(self, url: str) -> str:
        if check_callback_url(url, takes_state=True):
            # Werkzeug does not encode the path under which the app is mounted.
            url = iri_to_uri(url)
        if check_callback_url(url, takes_state=True):
            raise LoginError(
                "OpenRouter sends visitors back to https addresses or localhost only. Behind a"
                " proxy add werkzeug's ProxyFix, or set OPENROUTER_CALLBACK_URL.",
                reason="insecure_address",
            )
        self._warn_of_host(url)
        self._warn_of_cookie(url)
        self._last_checked = url
        return url

    def _warn_of_host(self, url: str) -> None:
        config = this_app().config
        scheme, host = url.lower().split("/", 3)[0:3:2]
        is_fixed = config["SERVER_NAME"] or config.get("TRUSTED_HOSTS")
        if self._has_warned_of_host or is_fixed or is_loopback_url(f"{scheme}//{host}"):
            return
        self._has_warned_of_host = True
        logger.warning(
            "The callback address is taken from the request's Host header (%s), which a visitor may"
            " forge. Set OPENROUTER_CALLBACK_URL, or Flask's TRUSTED_HOSTS or SERVER_NAME.",
            this_request().host,
        )

    def _warn_of_cookie(self, url: str) -> None:
        is_kept = url.startswith("https:") or not this_app().config["SESSION_COOKIE_SECURE"]
        if self._has_warned_of_cookie or is_kept:
            return
        self._has_warned_of_cookie = True
        logger.warning(SECURE_ON_HTTP, url)


@dataclass(frozen=True, slots=True)
class Callback(Unpicklable):
    """A well-formed callback. ``code`` is None when there is none: the visitor declined.

    ``has_provider_failed``: it is OpenRouter that could not go on (RFC 6749 §4.1.2.1).
    """

    state: str = field(repr=False)
    code: str | None = field(repr=False)
    has_provider_failed: bool = False
    #: Stands for the state.
    state_digest: str = field(init=False, repr=False)
    #: Stands for the login with this code.
    code_digest: str = field(init=False, repr=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "state_digest", digest(self.state))
        object.__setattr__(self, "code_digest", digest(f"{self.state} {self.code}"))


def read_callback(base_url: str) -> Callback:
    """Read the callback from this request.

    Raises :class:`StateMismatchError` with reason ``malformed`` for wrong parameters, a parameter
    that comes twice (RFC 6749 §3.1), a value that cannot be a code, and another issuer (RFC 9207).
    """
    # Not request.args, which leaves bytes that are not UTF-8 encoded: they could pass for a code.
    query = request.query_string.decode("latin-1")
    callback = _callback_of(_parse(query), base_url)
    # An error report must not show it in this frame.
    del query
    if callback is None:
        raise _malformed()
    return callback


def read_pasted(text: str, state: str, base_url: str) -> Callback:
    """Read the code that a visitor pasted, or the whole address that their browser could not open.

    ``state``: that of the form's login; an address brings its own. Raises like
    :func:`read_callback`.
    """
    text = text.strip()
    if "://" in text:
        values = _parse(text.partition("?")[2].partition("#")[0])
        if values is not None:
            values.setdefault("state", state)
            # Without a code it is another address, not a visitor who declined.
            values.setdefault("code", "")
    else:
        values = MultiDict({"state": state, "code": text})
    callback = _callback_of(values, base_url)
    # As above.
    del text, state, values
    if callback is None:
        raise _malformed()
    return callback


def state_of_request() -> str:
    """Return the state that this request names, although its callback may be malformed, or ``""``.

    It proves nothing: only a login of this browser may be found by it.
    """
    query = request.query_string.decode("latin-1")[:_MAX_QUERY]
    found = _STATE.search(query)
    return found[1] if found else request.form.get("state", "")


def _parse(query: str) -> MultiDict[str, str] | None:
    if len(query) > _MAX_QUERY or not query.isascii():
        return None
    try:
        values = MultiDict(parse_qsl(query, keep_blank_values=True, errors="strict"))
    except ValueError:
        return None
    if query.endswith("&"):
        # To a browser, the rest of "&#38;code=..." is a fragment, which it does not send.
        values.add("", "")
    return values


def _callback_of(values: MultiDict[str, str] | None, base_url: str) -> Callback | None:
    """Return the callback that these parameters make, or None if they make none."""
    # An encoder's leftover hides the code or the error, so it is unknown which one came.
    if values is None or any(map(_LEFTOVER.match, values)):
        return None
    state, code, error, issuer = (
        values.getlist(name) for name in ("state", "code", "error", "iss")
    )
    if max(len(state), len(code), len(error), len(issuer)) > 1 or not state or (code and error):
        return None
    if (issuer and issuer != [base_url]) or _REST_OF_QUERY.search(state[0]):
        return None
    if code:
        return Callback(state[0], code[0]) if is_code(code[0]) else None
    # OpenRouter declines with the bare callback address. A garbled code is not a refusal.
    is_garbled = any(_is_garbled(name, has_error=bool(error)) for name in values)
    words = _NEITHER_LETTER_NOR_DIGIT.sub("", error[0].lower()) if error else ""
    has_failed = _FAILURE.match(words) is not None
    return None if is_garbled else Callback(state[0], None, has_failed)


def _is_garbled(name: str, *, has_error: bool) -> bool:
    """Whether this is the name of a code or of an error that something has changed."""
    name = name.lower()
    if not name or name.startswith("error"):
        # Such as error_description and error_code.
        return not has_error
    return ("code" in name or "error" in name) and not _OWN.fullmatch(name)


def _malformed() -> StateMismatchError:
    return StateMismatchError("This is not what a login ends with.", reason="malformed")
