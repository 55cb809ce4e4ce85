"""The persistent connections of one process: urllib3's, on sockets that keep the deadline.

This module imports ``requests``, so import it only where a request is made.
"""

from __future__ import annotations

import ssl
from functools import partial
from time import monotonic
from typing import Any

import requests
from requests.adapters import HTTPAdapter
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.connectionpool import HTTPConnectionPool, HTTPSConnectionPool

from .deadline import LimitedSocket, current_deadline
from .environment import Environment
from .racing import Resolver, connect

#: Connections kept per process. If more threads make requests, theirs are closed after use.
POOL_SIZE = 16
#: A connection that was idle for longer, in seconds, is not used again: a firewall may have dropped
#: it without notice, and a code sent over it would be lost.
MAX_IDLE_SECONDS = 60.0


class _LimitedConnection(HTTPConnection):
    """A connection whose socket keeps the deadline. It notes that a request was sent."""

    _last_used = 0.0

    def __init__(self, *args: Any, resolver: Resolver | None = None, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._resolver = resolver

    def _new_conn(self) -> LimitedSocket:
        return connect(
            self._dns_host,
            self.port,
            self.timeout,
            resolver=self._resolver,
            continues_with_tls=self.proxy is None,
        )

    @property
    def is_connected(self) -> bool:
        """Whether this connection can be used again; urllib3 asks before each reuse."""
        return monotonic() - self._last_used < MAX_IDLE_SECONDS and super().is_connected

    def request(self, *args: Any, **kwargs: Any) -> None:
        if self.sock is None:
            # Connect before was_sent is set: for plain http, urllib3 connects while it sends.
            self.connect()
        self._last_used = monotonic()
        deadline = current_deadline()
        if deadline is not None:
            deadline.was_sent = True
        super().request(*args, **kwargs)


class _LimitedTLSConnection(_LimitedConnection, HTTPSConnection):
    pass


class _Pool(HTTPConnectionPool):
    # For pyright, urllib3's own classes do not match its protocol either.
    ConnectionCls = _LimitedConnection  # pyright: ignore[reportAssignmentType]


class _TLSPool(HTTPSConnectionPool):
    ConnectionCls = _LimitedTLSConnection  # pyright: ignore[reportAssignmentType]


class Adapter(HTTPAdapter):
    """The persistent connections of one process; certificates are always verified.

    All requests of a client share it: it holds no key, header or cookie. It ignores a caller's
    proxies and verification, and uses those of its environment.
    """

    def __init__(self, base_url: str, environment: Environment, tls: ssl.SSLContext) -> None:
        self._root = f"{base_url}/"
        self._environment = environment
        self._tls = tls
        #: The connections to the base URL, once there are any.
        self._pool: Any = None
        super().__init__(pool_maxsize=POOL_SIZE)

    def init_poolmanager(self, *args: Any, **kwargs: Any) -> None:
        super().init_poolmanager(*args, ssl_context=self._tls, **kwargs)
        self._use_own_connections(self.poolmanager)

    def proxy_manager_for(self, proxy: str, **kwargs: Any) -> Any:
        manager = super().proxy_manager_for(
            proxy, ssl_context=self._tls, proxy_ssl_context=self._tls, **kwargs
        )
        self._use_own_connections(manager)
        return manager

    def _use_own_connections(self, manager: Any) -> None:
        # A pool hands arguments that it does not know on to its connections.
        manager.pool_classes_by_scheme = {
            "http": partial(_Pool, resolver=self._environment.resolver),
            "https": partial(_TLSPool, resolver=self._environment.resolver),
        }

    def get_connection_with_tls_context(
        self, request: requests.PreparedRequest, *args: Any, **kwargs: Any
    ) -> Any:
        """Return the connections for this request. ``requests`` takes long to find them again."""
        if self._environment.proxy or not (request.url or "").startswith(self._root):
            return super().get_connection_with_tls_context(request, *args, **kwargs)
        if self._pool is None:
            self._pool = super().get_connection_with_tls_context(request, *args, **kwargs)
        return self._pool

    def request_url(self, request: requests.PreparedRequest, proxies: Any) -> str:
        """Return the address to send: a path, except to an http proxy."""
        return super().request_url(request, proxies) if proxies else request.path_url

    def close(self) -> None:
        """Close all connections. The next request opens new ones."""
        self._pool = None
        super().close()

    def cert_verify(self, *args: Any, **kwargs: Any) -> None:
        """Do nothing: the TLS context has the trusted authorities, and requires a certificate."""

    def send(
        self,
        request: requests.PreparedRequest,
        stream: bool = False,
        timeout: Any = None,
        verify: Any = True,
        cert: Any = None,
        proxies: Any = None,
    ) -> requests.Response:
        proxy = self._environment.proxy
        return super().send(
            request, stream=stream, timeout=timeout, proxies={"all": proxy} if proxy else {}
        )
