"""Connections to a name with several addresses, of which some may be dead (RFC 8305).

The addresses are tried one after the other, a short delay apart. The first connection that is ready
is used, and the others are closed. With TLS, a connection is ready after its handshake: an address
whose handshake hangs or fails costs no more than one that does not answer. All addresses together
have one time limit, and a request is only sent on the connection that is used.
"""

from __future__ import annotations

import os
import selectors
import socket
import ssl
from collections.abc import Callable, Generator, Iterable
from contextlib import suppress
from functools import partial
from math import inf
from time import monotonic
from typing import Any, TypeAlias

from .deadline import LimitedSocket, LimitedSSLSocket, seconds_left

#: Seconds after which the next address is tried as well, at most (RFC 8305 §8).
ATTEMPT_DELAY = 0.25

Resolver: TypeAlias = Callable[..., Iterable[tuple[Any, ...]]]
#: A socket's family and the address to connect to.
Address: TypeAlias = tuple[int, Any]
_Secure: TypeAlias = Callable[[socket.socket], ssl.SSLSocket]
#: Yields what it waits for, and returns a connection that is ready.
_Attempt: TypeAlias = Generator[tuple[socket.socket, int], None, socket.socket]


def connect(
    host: str,
    port: int,
    longest: float | None,
    *,
    resolver: Resolver | None = None,
    continues_with_tls: bool = True,
) -> LimitedSocket:
    """Return a TCP connection to the first address of ``host`` that answers.

    :param longest: seconds for all addresses together, or None for the current deadline only.
    :param resolver: used instead of ``socket.getaddrinfo``.
    :param continues_with_tls: whether :class:`RacingContext` may go on with another address if the
        TLS handshake fails. False for a proxy: its tunnel belongs to this connection.
    :raises OSError: if the name does not resolve, or no address answers in time.
    """
    give_up = monotonic() + (inf if longest is None else longest)
    race = Race(addresses_of(host, port, resolver), give_up)
    sock = race.connect()
    if continues_with_tls and race.untried:
        sock.race = race
    return sock


def addresses_of(host: str, port: int, resolver: Resolver | None = None) -> list[Address]:
    """Return the addresses of a name once each, the families by turns (RFC 8305 §4).

    :raises OSError: if the name does not resolve. UnicodeError, if it is no host name.
    """
    found = (resolver or socket.getaddrinfo)(host, port, type=socket.SOCK_STREAM)
    families: dict[int, dict[Address, None]] = {}
    for family, _, _, _, address in found:
        families.setdefault(family, {})[family, address] = None
    lists = [list(addresses) for addresses in families.values()]
    longest = max(map(len, lists), default=0)
    return [addresses[n] for n in range(longest) for addresses in lists if n < len(addresses)]


class Race:
    """Attempts to connect to ``addresses``, in this order, until the time ``give_up``."""

    def __init__(self, addresses: Iterable[Address], give_up: float) -> None:
        #: Addresses that are left for another run: they did not fail, nor were they used.
        self.untried: list[Address] = list(addresses)
        self._give_up = give_up
        self._error = OSError("the name has no address")

    def connect(self) -> LimitedSocket:
        """Return the first TCP connection that is ready.

        :raises OSError: if no address answers in time.
        """
        if len(self.untried) != 1:
            return self._winner(None, None)  # type: ignore[return-value]
        # Nothing to race with. Let the system wait.
        family, address = self.untried.pop()
        sock = LimitedSocket(family, socket.SOCK_STREAM)
        try:
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self._limit(sock)
            sock.connect(address)
            # The TLS handshake starts with the timeout that it finds here.
            self._limit(sock)
        except BaseException:
            sock.close()
            raise
        return sock

    def shake_hands(self, sock: socket.socket, secure: _Secure) -> ssl.SSLSocket:
        """Return the first TLS connection that is ready.

        :param sock: the TCP connection of the run before, which has a head start.
        :param secure: makes a TLS socket of a TCP socket, without a handshake.
        :raises OSError: if no address finishes its handshake in time.
        """
        return self._winner(secure, sock)  # type: ignore[return-value]

    def _limit(self, sock: socket.socket) -> None:
        sock.settimeout(self._seconds_left())

    def _seconds_left(self) -> float | None:
        left = self._give_up - monotonic()
        if left <= 0:
            raise TimeoutError("the time to connect ran out")
        return seconds_left(left)

    def _winner(self, secure: _Secure | None, first: socket.socket | None) -> socket.socket:
        waiting: dict[_Attempt, Address | None] = {}
        try:
            with selectors.DefaultSelector() as selector:
                winner = self._run(secure, first, waiting, selector)
        except TimeoutError:
            # A wrong certificate says more than a time limit.
            if isinstance(self._error, ssl.SSLCertVerificationError):
                raise self._error from None
            raise
        finally:
            for attempt, address in waiting.items():
                attempt.close()
                if address is not None:
                    self.untried.append(address)
        self._limit(winner)
        return winner

    def _run(
        self,
        secure: _Secure | None,
        first: socket.socket | None,
        waiting: dict[_Attempt, Address | None],
        selector: selectors.BaseSelector,
    ) -> socket.socket:
        left = self._seconds_left() or inf
        # All have started after half of the time, however many they are.
        delay = min(ATTEMPT_DELAY, left / (2 * len(self.untried) or 1))
        start_next = monotonic()
        ready: list[_Attempt] = []
        if first is not None:
            attempt = _attempt(None, first, secure)
            waiting[attempt] = None
            ready, start_next = [attempt], start_next + delay
        while True:
            if self.untried and monotonic() >= start_next:
                address = self.untried.pop(0)
                attempt = _attempt(address, None, secure)
                waiting[attempt] = address
                ready.append(attempt)
                start_next = monotonic() + delay
            for attempt in ready:
                try:
                    selector.register(*next(attempt), attempt)
                except StopIteration as done:
                    del waiting[attempt]
                    return done.value  # type: ignore[no-any-return]
                except OSError as error:
                    del waiting[attempt]
                    start_next = 0.0
                    if not isinstance(self._error, ssl.SSLCertVerificationError):
                        self._error = error
            if not waiting and not self.untried:
                raise self._error
            seconds = self._seconds_left()
            if self.untried:
                pause = max(start_next - monotonic(), 0)
                seconds = pause if seconds is None else min(pause, seconds)
            ready = []
            for key, _ in selector.select(seconds):
                selector.unregister(key.fileobj)
                ready.append(key.data)


def _attempt(address: Address | None, sock: Any, secure: _Secure | None) -> _Attempt:
    """Connect to ``address``, or go on with ``sock``; then shake hands, if ``secure`` is given.

    The sockets do not block. They are closed if an attempt fails, or is closed itself.
    """
    try:
        if address is not None:
            sock = LimitedSocket(address[0], socket.SOCK_STREAM)
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            sock.setblocking(False)
            with suppress(BlockingIOError):
                sock.connect(address[1])
            yield sock, selectors.EVENT_WRITE
            number = sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
            if number:
                raise OSError(number, os.strerror(number))
        if secure is not None:
            sock.setblocking(False)
            sock = secured = secure(sock)
            while True:
                try:
                    secured.do_handshake()
                    break
                except (ssl.SSLWantReadError, ssl.SSLWantWriteError) as wanted:
                    is_read = isinstance(wanted, ssl.SSLWantReadError)
                yield secured, selectors.EVENT_READ if is_read else selectors.EVENT_WRITE
    except BaseException:
        if sock is not None:
            sock.close()
        raise
    return sock  # type: ignore[no-any-return]


class RacingContext(ssl.SSLContext):
    """A client's TLS context that goes on with the other addresses if a handshake hangs or fails.

    It does so for the sockets of :func:`connect` only. Each connection is verified by itself.
    """

    sslsocket_class: type[ssl.SSLSocket] = LimitedSSLSocket

    def wrap_socket(self, sock: socket.socket, *args: Any, **kwargs: Any) -> ssl.SSLSocket:
        """Return a TLS connection, as ``ssl.SSLContext.wrap_socket`` does.

        :raises OSError: if no address finishes its handshake in time.
        """
        race: Race | None = getattr(sock, "race", None)
        if race is None:
            return super().wrap_socket(sock, *args, **kwargs)
        wrap = partial(super().wrap_socket, do_handshake_on_connect=False)
        return race.shake_hands(sock, lambda each: wrap(each, *args, **kwargs))
