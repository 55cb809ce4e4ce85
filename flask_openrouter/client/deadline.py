"""A time limit by the wall clock, whatever the server does.

``requests`` and urllib3 limit the wait for the *next* bytes: a server that sends one byte a second
is never too slow for them. Here every operation of the sockets below first asks how much is left of
the current request's time, so a drip in the handshake, the headers or the body ends in time, with
no thread to watch it. Only name resolution has limits of its own, those of the system's resolver:
a request that it held up for too long fails as soon as it returns.
"""

from __future__ import annotations

import socket
import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from math import inf
from time import monotonic
from typing import Any

#: Seconds for name resolution's result, TCP, a proxy's CONNECT and the TLS handshake together.
CONNECT_SECONDS = 5.0
#: Nothing else can be told apart from the end of the time this close to it, in seconds.
_RESOLUTION = 0.02


class Deadline:
    """The time limits of one request, and whether any of its bytes may have left.

    :param seconds: for the whole request; infinite for one that only ``was_sent`` is wanted of.
    """

    __slots__ = ("connect_by", "finish_by", "was_sent")

    def __init__(self, seconds: float = inf) -> None:
        now = monotonic()
        self.finish_by: float = now + seconds
        self.connect_by: float = inf if seconds == inf else now + min(seconds, CONNECT_SECONDS)
        self.was_sent: bool = False

    def remaining(self) -> float:
        """Return the seconds left for what the request is doing now; infinite without a limit."""
        return (self.finish_by if self.was_sent else self.connect_by) - monotonic()

    def is_over(self) -> bool:
        """Whether the time for the whole request has run out."""
        return self.finish_by - monotonic() <= _RESOLUTION


_current: ContextVar[Deadline | None] = ContextVar("flask_openrouter_deadline", default=None)


@contextmanager
def limited_by(deadline: Deadline) -> Iterator[None]:
    """Apply ``deadline`` to every socket below that this thread or task uses inside the block."""
    previous = _current.set(deadline)
    try:
        yield
    finally:
        _current.reset(previous)


def current_deadline() -> Deadline | None:
    """Return the deadline of the request that this thread or task is making."""
    return _current.get()


def seconds_left(longest: float | None = None) -> float | None:
    """Return the socket timeout for the next operation: what is left, at most ``longest``.

    :raises TimeoutError: if nothing is left.
    """
    deadline = _current.get()
    remaining = inf if deadline is None else deadline.remaining()
    if remaining <= 0:
        raise TimeoutError("the time limit of the request ran out")
    remaining = min(remaining, inf if longest is None else longest)
    return None if remaining == inf else remaining


class _LimitedOperations:
    """Mixin for sockets: no single operation outlasts the current deadline.

    Without a deadline the timeout stays as the caller set it.
    """

    def _limit(self) -> None:
        remaining = seconds_left()
        if remaining is not None:
            self.settimeout(remaining)  # type: ignore[attr-defined]

    def do_handshake(self, *args: Any, **kwargs: Any) -> Any:
        self._limit()
        return super().do_handshake(*args, **kwargs)  # type: ignore[misc]

    def recv(self, *args: Any, **kwargs: Any) -> Any:
        self._limit()
        return super().recv(*args, **kwargs)  # type: ignore[misc]

    def recv_into(self, *args: Any, **kwargs: Any) -> Any:
        self._limit()
        return super().recv_into(*args, **kwargs)  # type: ignore[misc]

    def send(self, *args: Any, **kwargs: Any) -> Any:
        self._limit()
        return super().send(*args, **kwargs)  # type: ignore[misc]

    def sendall(self, *args: Any, **kwargs: Any) -> Any:
        self._limit()
        return super().sendall(*args, **kwargs)  # type: ignore[misc]


class LimitedSocket(_LimitedOperations, socket.socket):
    """A plain socket under the current deadline."""


class LimitedSSLSocket(_LimitedOperations, ssl.SSLSocket):
    """A TLS socket under the current deadline; for ``ssl.SSLContext.sslsocket_class``."""


def connect(host: str, port: int, longest: float | None) -> LimitedSocket:
    """Return a connected TCP socket, trying all addresses of ``host`` within one time limit.

    :param longest: seconds for all addresses together, or None for the current deadline only.
    :raises OSError: if the name does not resolve, or no address answers in time.
    """
    give_up = monotonic() + (inf if longest is None else longest)
    error: OSError = OSError("the name has no address")
    for family, kind, protocol, _, address in socket.getaddrinfo(
        host, port, type=socket.SOCK_STREAM
    ):
        sock = LimitedSocket(family, kind, protocol)
        try:
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            sock.settimeout(seconds_left(max(give_up - monotonic(), 0.001)))
            sock.connect(address)
            # What is left is for the handshake, which starts with the timeout found here.
            sock.settimeout(seconds_left(max(give_up - monotonic(), 0.001)))
        except OSError as reason:
            sock.close()
            error = reason
        else:
            return sock
    raise error
