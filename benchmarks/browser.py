"""A browser without sockets: it calls the app's WSGI callable as gunicorn would."""

from __future__ import annotations

import io
import sys
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit

from flask import Flask

from .exchange import key_of, make_code

Headers = list[tuple[str, str]]

# What Chromium sends with a click on a link.
_HEADERS = {
    "HTTP_HOST": "app.example",
    "HTTP_CONNECTION": "keep-alive",
    "HTTP_USER_AGENT": (
        "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko)"
        " Chrome/143.0.0.0 Safari/537.36"
    ),
    "HTTP_ACCEPT": "text/html,application/xhtml+xml,application/xml;q=0.9,image/webp,*/*;q=0.8",
    "HTTP_ACCEPT_ENCODING": "gzip, deflate, br, zstd",
    "HTTP_ACCEPT_LANGUAGE": "en-US,en;q=0.9",
    "HTTP_SEC_FETCH_SITE": "same-origin",
    "HTTP_SEC_FETCH_MODE": "navigate",
    "HTTP_SEC_FETCH_USER": "?1",
    "HTTP_SEC_FETCH_DEST": "document",
}


@dataclass(frozen=True)
class Answer:
    """What came back: the status code, the headers, the body."""

    status: int
    headers: Headers
    body: bytes

    @property
    def location(self) -> str:
        """Where it redirects to. Raises LookupError when it does not."""
        return self.all("Location")[0]

    @property
    def set_cookies(self) -> list[str]:
        """Each ``Set-Cookie`` header's value."""
        return self.all("Set-Cookie")

    def all(self, name: str) -> list[str]:
        """Return the values of all headers of this name."""
        return [value for header, value in self.headers if header.lower() == name.lower()]


def environ_of(path: str, cookie: str = "") -> dict[str, Any]:
    """Return the WSGI environ of a browser's GET over https. Copy it for every call."""
    path, _, query = path.partition("?")
    environ = {
        "REQUEST_METHOD": "GET",
        "SCRIPT_NAME": "",
        "PATH_INFO": path,
        "QUERY_STRING": query,
        "RAW_URI": f"{path}?{query}" if query else path,
        "SERVER_NAME": "127.0.0.1",
        "SERVER_PORT": "8000",
        "SERVER_PROTOCOL": "HTTP/1.1",
        "REMOTE_ADDR": "127.0.0.1",
        "REMOTE_PORT": "50000",
        "wsgi.version": (1, 0),
        "wsgi.url_scheme": "https",
        "wsgi.input": io.BytesIO(),
        "wsgi.errors": sys.stderr,
        "wsgi.multithread": False,
        "wsgi.multiprocess": True,
        "wsgi.run_once": False,
        **_HEADERS,
    }
    if cookie:
        environ["HTTP_COOKIE"] = cookie
    return environ


def call(app: Flask, environ: dict[str, Any]) -> tuple[str, Headers, bytes]:
    """Call the app with a copy of this environ; return the status line, headers and body.

    This is all that is timed, so it does what a server must do and no more.
    """
    started: list[Any] = []

    def start_response(status: str, headers: Headers, _: Any = None) -> Callable[[bytes], object]:
        started.extend((status, headers))
        return started.append

    body: Iterable[bytes] = app(environ.copy(), start_response)
    content = b"".join(body)
    close: Callable[[], None] | None = getattr(body, "close", None)
    if close is not None:
        close()
    return started[0], started[1], content


class Browser:
    """One cookie jar in front of one app."""

    def __init__(self, app: Flask) -> None:
        self.app = app
        self.cookies: dict[str, str] = {}

    def environ(self, path: str) -> dict[str, Any]:
        """Return the environ of a visit with the cookies as they are now."""
        return environ_of(path, "; ".join(f"{k}={v}" for k, v in self.cookies.items()))

    def get(self, path: str) -> Answer:
        """Visit a path and keep the cookies."""
        status, headers, body = call(self.app, self.environ(path))
        answer = Answer(int(status[:3]), headers, body)
        for cookie in answer.set_cookies:
            pair, _, attributes = cookie.partition(";")
            name, _, value = pair.partition("=")
            if "max-age=0" in attributes.lower():
                self.cookies.pop(name, None)
            else:
                self.cookies[name] = value
        return answer


@dataclass(frozen=True)
class Approval:
    """A visitor's consent: where the provider sends them, and the key that it will sell."""

    callback: str
    key: str


def approve(location: str) -> Approval:
    """Consent to the login that redirected here.

    Raises ValueError unless it asks for PKCE with S256, and has a state.
    """
    values = {name: value[0] for name, value in parse_qs(urlsplit(location).query).items()}
    if values.get("code_challenge_method") != "S256" or not values.get("code_challenge"):
        raise ValueError("The login does not use PKCE with S256.")
    # OpenRouter's callback_url brings its own state; redirect_uri and state are RFC 6749's.
    callback = urlsplit(values.get("callback_url") or values["redirect_uri"])
    query = {name: value[0] for name, value in parse_qs(callback.query).items()}
    query.setdefault("state", values.get("state", ""))
    if not query["state"]:
        raise ValueError("The login has no state.")
    code = make_code(values["code_challenge"])
    return Approval(f"{callback.path}?{urlencode({**query, 'code': code})}", key_of(code))
