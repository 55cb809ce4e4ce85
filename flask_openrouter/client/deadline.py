"""A time limit by the wall clock, however slowly the server sends.

``requests`` and urllib3 limit the wait for the *next* bytes: a server that sends one byte a second
never exceeds their limit. The sockets here check before each operation how much of the request's
time is left. So a slow handshake, header or body ends in time, without a thread that watches it.
Only name resolution has its own limits, those of the system's resolver: if it takes too long, the
request fails as soon as it returns.
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

#: Seconds for name resolution, TCP, a proxy's CONNECT and the TLS handshake together, of a request
#: that may take ``USUAL_SECONDS`` or less. If it may take longer, so may connecting, in proportion.
CONNECT_SECONDS = 5.0
USUAL_SECONDS = 15.0
#: A failure within this many seconds of the end counts as a timeout.
_RESOLUTION = 0.02


class Deadline:
    """The time limits of one request, and whether any of its bytes may have been sent.

    :param seconds: for the whole request; infinite if only ``was_sent`` is of interest.
    """

    __slots__ = ("connect_by", "finish_by", "was_sent")

    def __init__(self, seconds: float = inf) -> None:
        now = monotonic()
        self.finish_by: float = now + seconds
        connect_seconds = CONNECT_SECONDS * max(1.0, seconds / USUAL_SECONDS)
        self.connect_by: float = now + min(seconds, connect_seconds)
        self.was_sent: bool = False

    def remaining(self) -> float:
        """Return the seconds left to connect, or to finish once sent; infinite without a limit."""
        return (self.finish_by if self.was_sent else self.connect_by) - monotonic()

    def is_over(self) -> bool:
        """Whether the time of the whole request is over."""
        return self.finish_by - monotonic() <= _RESOLUTION


_current: ContextVar[Deadline | None] = ContextVar("flask_openrouter_deadline", default=None)


@contextmanager
def limited_by(deadline: Deadline) -> Iterator[None]:
    """Apply ``deadline`` to the sockets of this module that this thread or task uses inside."""
    previous = _current.set(deadline)
    try:
        yield
    finally:
        _current.reset(previous)


def current_deadline() -> Deadline | None:
    """Return the deadline of the request that this thread or task is making."""
    return _current.get()


def seconds_left(longest: float | None = None) -> float | None:
    """Return the socket timeout for the next operation: the time left, at most ``longest``.

    :raises TimeoutError: if no time is left.
    """
    deadline = _current.get()
    remaining = inf if deadline is None else deadline.remaining()
    if remaining <= 0:
        raise TimeoutError("the time limit of the request ran out")
    remaining = min(remaining, inf if longest is None else longest)
    return None if remaining == inf else remaining


class _LimitedOperations:
    """Mixin for sockets whose operations end with the current deadline.

    Without a deadline the timeout stays as the caller set it.
    """

    def _limit(self) -> None:
        remaining = seconds_left()
        if remaining is not None:
            self.settimeout(remaining)  # type: ignore[attr-defined]

    def do_handshake(self, *args: Any, **kwargs: Any) -> Any:
        # A race of several connections does not block.
        if self.gettimeout() != 0.0:  # type: ignore[attr-defined]
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
    """A plain socket that keeps the current deadline."""

    #: The :class:`~.racing.Race` that this connection won, if other addresses are left.
    race: Any = None


class LimitedSSLSocket(_LimitedOperations, ssl.SSLSocket):
    """A TLS socket that keeps the current deadline; for ``ssl.SSLContext.sslsocket_class``."""

    def getpeername(self) -> Any:
        """Return the address of the peer. A connection that has none any more is closed.

        Otherwise ``ssl`` leaves it open if the peer resets it before the handshake.
        """
        try:
            return super().getpeername()
        except OSError:
            self.close()
            raise
