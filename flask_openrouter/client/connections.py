"""The kept connections of one process: urllib3's, on sockets that keep the time limit.

``requests`` is imported with this module, so import it only where a request is made.
"""

from __future__ import annotations

import ssl
from time import monotonic
from typing import Any

import requests
from requests.adapters import HTTPAdapter
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.connectionpool import HTTPConnectionPool, HTTPSConnectionPool

from .deadline import LimitedSocket, connect, current_deadline
from .environment import Environment

#: Connections kept per process. More threads may be at work; theirs are closed after use.
POOL_SIZE = 16
#: A connection idle for longer is not used again, in seconds: a firewall may have forgotten it
#: without telling either end, and a code sent into it would be lost.
MAX_IDLE_SECONDS = 60.0


class _LimitedConnection(HTTPConnection):
    """Sockets under the deadline, and a note of whether a request was sent."""

    _last_used = 0.0

    def _new_conn(self) -> LimitedSocket:
        return connect(self._dns_host, self.port, self.timeout)

    @property
    def is_connected(self) -> bool:
        """Whether this kept connection can serve once more; urllib3 asks before it does."""
        return monotonic() - self._last_used < MAX_IDLE_SECONDS and super().is_connected

    def request(self, *args: Any, **kwargs: Any) -> None:
        if self.sock is None:
            # Plain http: left alone, urllib3 connects in the midst of sending.
            self.connect()
        self._last_used = monotonic()
        deadline = current_deadline()
        if deadline is not None:
            deadline.was_sent = True
        super().request(*args, **kwargs)


class _LimitedTLSConnection(_LimitedConnection, HTTPSConnection):
    pass


class _Pool(HTTPConnectionPool):
    # urllib3's own classes do not fit its protocol either, if one asks pyright.
    ConnectionCls = _LimitedConnection  # pyright: ignore[reportAssignmentType]


class _TLSPool(HTTPSConnectionPool):
    ConnectionCls = _LimitedTLSConnection  # pyright: ignore[reportAssignmentType]


class Adapter(HTTPAdapter):
    """The kept connections of one process; certificates are always verified.

    Shared by all requests of a client: it holds no key, header or cookie. What a caller says about
    proxies and verification is overruled by the environment it was made with.
    """

    def __init__(self, environment: Environment, tls: ssl.SSLContext) -> None:
        self._environment = environment
        self._tls = tls
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

    @staticmethod
    def _use_own_connections(manager: Any) -> None:
        manager.pool_classes_by_scheme = {"http": _Pool, "https": _TLSPool}

    def cert_verify(self, *args: Any, **kwargs: Any) -> None:
        """Do nothing: the TLS context has the trusted certificates, and demands one."""

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
