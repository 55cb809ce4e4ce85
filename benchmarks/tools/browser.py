"""A browser without sockets: it calls the app's WSGI callable with the headers of Chromium."""

from __future__ import annotations

import base64
import hashlib
import itertools
from collections.abc import Callable
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit

from flask import Flask
from werkzeug.test import create_environ
from werkzeug.wrappers import Response

Headers = list[tuple[str, str]]

#: Address of the app: over https, as in production.
BASE_URL = "https://app.example"
#: Sent by Chromium with a click on a link.
HEADERS = {
    "Host": urlsplit(BASE_URL).netloc,
    "User-Agent": (
        "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko)"
        " Chrome/143.0.0.0 Safari/537.36"
    ),
    "Accept": "text/html,application/xhtml+xml,application/xml;q=0.9,image/webp,*/*;q=0.8",
    "Accept-Encoding": "gzip, deflate, br, zstd",
    "Accept-Language": "en-US,en;q=0.9",
    "Sec-Fetch-Site": "same-origin",
    "Sec-Fetch-Mode": "navigate",
    "Sec-Fetch-User": "?1",
    "Sec-Fetch-Dest": "document",
}
_SERIAL = itertools.count()


def call(app: Flask, environ: dict[str, Any]) -> tuple[str, Headers, bytes]:
    """Call the app with a copy of this environ; return the status line, headers and body.

    Only this is timed, so it does what a server must do and no more.
    """
    started: list[Any] = []

    def start_response(status: str, headers: Headers, _: Any = None) -> Callable[[bytes], object]:
        started.extend((status, headers))
        return started.append

    body: Any = app(environ.copy(), start_response)
    content = b"".join(body)
    body.close()
    return started[0], started[1], content


class Browser:
    """One cookie jar for one app."""

    def __init__(self, app: Flask) -> None:
        self.app = app
        self.cookies: dict[str, str] = {}

    def headers(self) -> dict[str, str]:
        """Return the headers of a visit with the cookies as they are now."""
        cookie = "; ".join(f"{name}={value}" for name, value in self.cookies.items())
        return {**HEADERS, "Cookie": cookie} if cookie else HEADERS

    def environ(self, path: str) -> dict[str, Any]:
        """Return the WSGI environ of a visit."""
        return create_environ(path, BASE_URL, headers=self.headers())

    def get(self, path: str) -> Response:
        """Visit a path and keep the cookies."""
        status, headers, body = call(self.app, self.environ(path))
        response = Response(body, status, headers)
        for cookie in response.headers.getlist("Set-Cookie"):
            pair, _, attributes = cookie.partition(";")
            name, _, value = pair.partition("=")
            if "max-age=0" in attributes.lower():
                self.cookies.pop(name, None)
            else:
                self.cookies[name] = value
        return response


def approve(login: Response) -> tuple[str, str]:
    """Consent to the login that this response began; return the callback and the key it buys.

    Raises ValueError unless the response redirects with PKCE by S256 and with a state.
    """
    values = dict(parse_qs(urlsplit(login.location or "").query))
    challenge = values.get("code_challenge", [""])[0]
    if values.get("code_challenge_method") != ["S256"] or not challenge:
        raise ValueError("The login does not use PKCE with S256.")
    # OpenRouter's callback_url contains the state; redirect_uri and state are those of RFC 6749.
    callback = urlsplit((values.get("callback_url") or values["redirect_uri"])[0])
    state = parse_qs(callback.query).get("state") or values.get("state")
    if not state:
        raise ValueError("The login has no state.")
    # The code contains the challenge, so that the provider can check it without a memory.
    code = f"{challenge}.{next(_SERIAL)}"
    return f"{callback.path}?{urlencode({'state': state[0], 'code': code})}", key_of(code)


def key_of(code: str) -> str:
    """Return the key that this code buys at the local provider, in the form of OpenRouter's."""
    return f"sk-or-v1-{hashlib.sha256(code.encode()).hexdigest()}"


def is_verified(code: str, code_verifier: str) -> bool:
    """Whether this verifier belongs to the code's challenge (RFC 7636 §4.6)."""
    digest = hashlib.sha256(code_verifier.encode()).digest()
    return base64.urlsafe_b64encode(digest).rstrip(b"=").decode() == code.partition(".")[0]
