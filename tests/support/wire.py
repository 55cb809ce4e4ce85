"""A TCP proxy on loopback: it counts round trips, cuts connections, and can lead elsewhere."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress


class CountingProxy:
    """Passes bytes on unchanged. A round trip begins when the client speaks after the server."""

    def __init__(self, server_port: int) -> None:
        self.round_trips = 0
        #: How many of the client's next messages are answered by a cut connection.
        self.cuts = 0
        #: Where new connections lead. Those that are open stay where they are.
        self.target = server_port
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self._sockets: list[socket.socket] = []
        self._threads: list[threading.Thread] = []
        self._run(self._accept)

    def close(self) -> None:
        """Cut all connections and wait for the threads."""
        for end in (self._listener, *self._sockets):
            with suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)
        for thread in self._threads:
            thread.join()
        for end in (self._listener, *self._sockets):
            end.close()

    def _run(self, target: Callable[..., None], *arguments: object) -> None:
        thread = threading.Thread(target=target, args=arguments, daemon=True)
        self._threads.append(thread)
        thread.start()

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                server = socket.create_connection(("127.0.0.1", self.target))
                self._sockets += [client, server]
                last_speaker = [server]
                self._run(self._pump, client, server, last_speaker, self._count)
                self._run(self._pump, server, client, last_speaker, self._ignore)

    def _pump(
        self,
        source: socket.socket,
        target: socket.socket,
        last_speaker: list[socket.socket],
        on_turn: Callable[[], None],
    ) -> None:
        with suppress(OSError):
            while data := source.recv(65536):
                if last_speaker[0] is not source:
                    on_turn()
                last_speaker[0] = source
                if on_turn == self._count and self.cuts:
                    self.cuts -= 1
                    source.shutdown(socket.SHUT_RDWR)
                    break
                target.sendall(data)
            target.shutdown(socket.SHUT_WR)

    def _count(self) -> None:
        self.round_trips += 1

    def _ignore(self) -> None:
        pass


@contextmanager
def counting_proxy(server_port: int) -> Iterator[CountingProxy]:
    """Put a proxy in front of a server on this loopback port."""
    proxy = CountingProxy(server_port)
    try:
        yield proxy
    finally:
        proxy.close()
