"""The callback: the address that OpenRouter sends visitors back to, and what comes with them."""

from __future__ import annotations

import logging
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
from ..web import this_app, this_request

logger: Final = logging.getLogger("flask_openrouter")

SECURE_ON_HTTP: Final = (
    "SESSION_COOKIE_SECURE is set, and visitors come back to plain http (%s): browsers may not keep"
    " the session there, and no login can be finished. Use https, or unset it for development."
)
#: Bytes of the longest query that is read. A callback's holds a state and a code.
_MAX_QUERY: Final = 8192


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
        url = url_for("openrouter.callback", _external=True)
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
        is_fixed = config["SERVER_NAME"] or config["TRUSTED_HOSTS"]
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
    """A well-formed callback. ``code`` is None when the visitor declined."""

    state: str = field(repr=False)
    code: str | None = field(repr=False)


def read_callback(base_url: str) -> Callback:
    """Read the callback from this request.

    Raises :class:`StateMismatchError` with reason ``malformed`` for wrong parameters, a parameter
    that comes twice (RFC 6749 §3.1), a value that cannot be a code, and another issuer (RFC 9207).
    """
    # Not request.args, which leaves bytes that are not UTF-8 encoded: they could pass for a code.
    return _callback_of(_parse(request.query_string.decode("latin-1")), base_url)


def read_pasted(text: str, state: str, base_url: str) -> Callback:
    """Read the code that a visitor pasted, or the whole address that their browser could not open.

    ``state``: that of the form's login; an address brings its own. Raises like
    :func:`read_callback`.
    """
    text = text.strip()
    if "://" not in text:
        return _callback_of(MultiDict({"state": state, "code": text}), base_url)
    values = _parse(text.partition("?")[2].partition("#")[0])
    values.setdefault("state", state)
    if "code" not in values:
        raise _malformed()
    return _callback_of(values, base_url)


def _parse(query: str) -> MultiDict[str, str]:
    if len(query) > _MAX_QUERY or not query.isascii():
        raise _malformed()
    try:
        return MultiDict(parse_qsl(query, keep_blank_values=True, errors="strict"))
    except ValueError:
        raise _malformed() from None


def _callback_of(values: MultiDict[str, str], base_url: str) -> Callback:
    state, code, error, issuer = (
        values.getlist(name) for name in ("state", "code", "error", "iss")
    )
    if max(len(state), len(code), len(error), len(issuer)) > 1 or not state or (code and error):
        raise _malformed()
    if issuer and issuer != [base_url]:
        raise _malformed()
    if code:
        if not is_code(code[0]):
            raise _malformed()
        return Callback(state[0], code[0])
    # OpenRouter declines with the bare callback address. A garbled code is not a refusal.
    if any(name.lower().startswith("code") for name in values):
        raise _malformed()
    return Callback(state[0], None)


def _malformed() -> StateMismatchError:
    return StateMismatchError("This is not what a login ends with.", reason="malformed")
