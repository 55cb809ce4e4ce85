"""The server: an emulator on a loopback port, in its own thread."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

from werkzeug.serving import BaseWSGIServer, WSGIRequestHandler, make_server

from .app import create_emulator_app
from .config import EmulatorConfig
from .emulator import EXTENSION_KEY, Emulator
from .loopback import listening_address

#: How long the server may take to stop, in seconds.
SHUTDOWN_TIMEOUT = 5.0
_POLL_INTERVAL = 0.02


class _Connections:
    """The open connections of one server, to be closed when it stops."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._open: set[socket.socket] = set()

    def add(self, connection: socket.socket) -> None:
        with self._lock:
            self._open.add(connection)

    def discard(self, connection: socket.socket) -> None:
        with self._lock:
            self._open.discard(connection)

    def close_all(self) -> None:
        with self._lock:
            for connection in self._open:
                with suppress(OSError):
                    connection.shutdown(socket.SHUT_RDWR)


def _make_handler(connections: _Connections) -> type[WSGIRequestHandler]:
    class Handler(WSGIRequestHandler):
        protocol_version = "HTTP/1.1"
        # Seconds that a silent client may hold a thread.
        timeout = 60
        # Streamed words must not wait for a full segment.
        disable_nagle_algorithm = True

        def setup(self) -> None:
            super().setup()
            connections.add(self.connection)

        def finish(self) -> None:
            connections.discard(self.connection)
            super().finish()

        def connection_dropped(
            self, error: BaseException, environ: dict[str, Any] | None = None
        ) -> None:
            # No response was sent, so no "Connection: close" ends the connection.
            self.close_connection = True

        def version_string(self) -> str:
            return "OpenRouter-Emulator"

        def log(self, type: str, message: str, *args: Any) -> None:
            """Log nothing: query strings contain authorization codes."""

    return Handler


@contextmanager
def run_in_thread(
    config: EmulatorConfig | None = None,
    *,
    port: int = 0,
    host: str = "127.0.0.1",
    bind: str | None = None,
) -> Iterator[Emulator]:
    """Serve an emulator for the duration of a ``with`` block and yield its handle.

    ``port`` 0 takes a free one. Leaving the block stops the server and closes all connections.

    ``bind`` listens on another address than ``host``, such as ``0.0.0.0`` inside a container. Every
    machine that reaches the address can use the emulator and its control API. The ``Host`` header
    of requests and the emulator's ``url`` stay loopback.

    :raises ValueError: if ``host`` is not loopback, or ``bind`` is not an IP address.
    :raises OSError: if the port is taken.
    :raises RuntimeError: at the end of the block, if the server does not stop within 5 seconds.
    """
    connections = _Connections()
    app = create_emulator_app(config)
    emulator: Emulator = app.extensions[EXTENSION_KEY]
    with _listen(listening_address(host, bind), port) as listener:
        address, port = listener.getsockname()[:2]
        server = make_server(
            address,
            port,
            app,
            threaded=True,
            request_handler=_make_handler(connections),
            fd=listener.fileno(),
        )
    emulator.url = f"http://{_authority(host, port)}"
    thread = threading.Thread(
        target=server.serve_forever,
        args=(_POLL_INTERVAL,),
        name="openrouter-emulator",
        daemon=True,
    )
    thread.start()
    try:
        yield emulator
    finally:
        emulator.closing.set()
        _stop(server, thread, connections)


def _listen(address: str, port: int) -> socket.socket:
    # Werkzeug would exit the process if the port were taken.
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    # All addresses of this machine include those of IPv4.
    dual = address == "::" and socket.has_dualstack_ipv6()
    return socket.create_server((address, port), family=family, backlog=128, dualstack_ipv6=dual)


def _authority(host: str, port: int) -> str:
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def _stop(server: BaseWSGIServer, thread: threading.Thread, connections: _Connections) -> None:
    server.shutdown()
    server.server_close()
    connections.close_all()
    thread.join(SHUTDOWN_TIMEOUT)
    if thread.is_alive():
        raise RuntimeError("The emulator did not stop in time.")
