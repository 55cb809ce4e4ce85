"""The part of OpenRouter that a login needs, at one address, with any fault on demand."""

from __future__ import annotations

import socket
import ssl
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

from key_issuer import KeyIssuer
from misbehaving import Act, Connection, MisbehavingProvider, ReceivedRequest, answer
from ports import free_port


class Upstream(KeyIssuer):
    """Exchanges each code for one key, once, unless ``acting`` says otherwise.

    ``url``: the base URL for an app. ``codes`` and ``verifiers`` are those that arrived.
    """

    def __init__(self, *, tls: ssl.SSLContext | None = None, base_url: str | None = None) -> None:
        super().__init__()
        self._act: Act | None = None
        self._tls = tls
        self._providers: list[MisbehavingProvider] = []
        self._running = ExitStack()
        self.port = free_port()
        scheme = "https" if tls else "http"
        self.url = base_url or f"{scheme}://localhost:{self.port}"

    @property
    def requests(self) -> list[ReceivedRequest]:
        """All requests, before and after every restart."""
        return [request for provider in self._providers for request in provider.requests]

    @property
    def exchanges(self) -> int:
        return sum(len(provider.exchanges) for provider in self._providers)

    def start(self, tls: ssl.SSLContext | None = None) -> None:
        """Listen, with another certificate if one is given."""
        provider = MisbehavingProvider(self, tls=tls or self._tls, port=self.port)
        self._providers.append(self._running.enter_context(provider))

    def stop(self) -> None:
        """Close the port and all connections."""
        self._running.close()

    @contextmanager
    def acting(self, act: Act) -> Iterator[None]:
        """Answer every request in this block like this."""
        self._act = act
        try:
            yield
        finally:
            self._act = None

    @contextmanager
    def stopped(self) -> Iterator[None]:
        """Refuse connections in this block."""
        self.stop()
        try:
            yield
        finally:
            self.start()

    @contextmanager
    def presenting(self, tls: ssl.SSLContext) -> Iterator[None]:
        """Use this certificate in this block."""
        self.stop()
        self.start(tls)
        try:
            yield
        finally:
            self.stop()
            self.start()

    @contextmanager
    def swallowing_packets(self) -> Iterator[None]:
        """Answer no SYN in this block, as behind a firewall: the queue of the port is full."""
        self.stop()
        with ExitStack() as stack:
            listener = stack.enter_context(socket.socket())
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            listener.bind(("127.0.0.1", self.port))
            listener.listen(0)
            for _ in range(4):
                waiting = stack.enter_context(socket.socket())
                waiting.setblocking(False)
                waiting.connect_ex(("127.0.0.1", self.port))
            yield
        self.start()

    def __call__(self, connection: Connection) -> None:
        if self._act is not None:
            self._act(connection)
        elif connection.request.path == "/api/v1/auth/keys":
            super().__call__(connection)
        else:
            answer(200, {"data": {"label": "sk-or-v1-...", "usage": 0, "limit": None}})(connection)
