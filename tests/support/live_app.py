"""An app on a real port with a thread for each request, and browsers that use it over sockets.

::

    with live(app) as url:
        browser = Browser(url)
        browser.get("/guarded").status
"""

from __future__ import annotations

import http.client
import socket
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit

from polling import PATIENCE
from visitor import NAVIGATE, with_query
from werkzeug.http import parse_cookie
from werkzeug.serving import WSGIRequestHandler, make_server


class _Handler(WSGIRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def connection_dropped(
        self, error: BaseException, environ: dict[str, Any] | None = None
    ) -> None:
        # An app that breaks off before its response leaves the connection open otherwise.
        self.close_connection = True

    def log(self, type: str, message: str, *args: object) -> None:
        pass


class _Body:
    """The body of a response. It is closed even if the server forgets to.

    Werkzeug's server does when the browser resets the connection, which leaves a file open.
    """

    def __init__(self, body: Any) -> None:
        self._body = body
        self._closers = [body.close] if hasattr(body, "close") else []

    def __iter__(self) -> Iterator[bytes]:
        return iter(self._body)

    def close(self) -> None:
        while self._closers:
            self._closers.pop()()

    __del__ = close


@contextmanager
def live(app: Any, host: str = "127.0.0.1") -> Iterator[str]:
    """Serve a WSGI app on loopback; yield its origin, such as ``http://127.0.0.1:54321``."""

    def served(environ: Any, start_response: Any) -> _Body:
        return _Body(app(environ, start_response))

    server = make_server(host, 0, served, threaded=True, request_handler=_Handler)
    server.daemon_threads = True  # type: ignore[attr-defined]
    thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    try:
        yield f"http://{host}:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join(PATIENCE)


def raw_request(url: str, request: bytes) -> bytes:
    """Send these bytes to the server at ``url``; return everything until it disconnects."""
    parts = urlsplit(url)
    with socket.create_connection((parts.hostname, parts.port), PATIENCE) as connection:
        connection.sendall(request)
        return b"".join(iter(lambda: connection.recv(65536), b""))


@dataclass(frozen=True)
class LiveAnswer:
    """A response. ``set_cookies`` are its own cookies, not yet in any jar."""

    status: int
    headers: http.client.HTTPMessage
    text: str

    @property
    def location(self) -> str:
        return str(self.headers["Location"])

    @property
    def set_cookies(self) -> list[str]:
        return self.headers.get_all("Set-Cookie") or []


class Browser:
    """One browser: a cookie jar for one site. ``jar`` maps names to values and may be copied."""

    def __init__(self, url: str, jar: Mapping[str, str] | None = None) -> None:
        self.url = url
        self.jar = dict(jar or {})

    def send(
        self, method: str, url: str, *, headers: Mapping[str, str] | None = None, body: str = ""
    ) -> LiveAnswer:
        """Send a request with the jar as it is now, without changing the jar."""
        parts = urlsplit(url)
        connection = self.connect()
        cookies = {"Cookie": "; ".join(map("=".join, self.jar.items()))} if self.jar else {}
        form = {"Content-Type": "application/x-www-form-urlencoded"} if body else {}
        try:
            connection.request(
                method,
                parts._replace(scheme="", netloc="").geturl(),
                body=body or None,
                headers={**NAVIGATE, **cookies, **form, **(headers or {})},
            )
            response = connection.getresponse()
            return LiveAnswer(response.status, response.headers, response.read().decode())
        finally:
            connection.close()

    def connect(self) -> http.client.HTTPConnection:
        """Return a connection to the site."""
        return http.client.HTTPConnection(urlsplit(self.url).netloc, timeout=PATIENCE)

    def apply(self, response: LiveAnswer) -> None:
        """Store the cookies of a response in the jar."""
        for line in response.set_cookies:
            name, _, rest = line.partition("=")
            if "Max-Age=0" in line or "1970" in line:
                self.jar.pop(name, None)
            else:
                self.jar[name] = rest.partition(";")[0]
                assert parse_cookie(line)[name] == self.jar[name].strip('"')

    def get(self, url: str, **headers: str) -> LiveAnswer:
        """Visit an address."""
        response = self.send("GET", url, headers=headers)
        self.apply(response)
        return response

    def post(self, url: str, **form: str) -> LiveAnswer:
        """Submit a form of this site."""
        headers = {"Sec-Fetch-Site": "same-origin"}
        response = self.send("POST", url, headers=headers, body=urlencode(form))
        self.apply(response)
        return response

    def start(self, next_url: str = "/") -> str:
        """Begin a login and return the address at OpenRouter."""
        response = self.get("/openrouter/login?" + urlencode({"next": next_url}))
        assert response.status == 303, response.text
        return response.location

    def callback_url(self, code: str) -> str:
        """Begin a login and return its callback with this code."""
        (url,) = parse_qs(urlsplit(self.start()).query)["callback_url"]
        return with_query(url, code=code)

    @property
    def key(self) -> str | None:
        """The fingerprint of the key that the guarded view gets, or None."""
        response = self.get("/guarded")
        return response.text if response.status == 200 else None
