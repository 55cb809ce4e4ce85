"""A provider that misbehaves: a raw socket server on loopback that sends exactly what it is told.

A library that replaces the HTTP adapter never exercises redirects, TLS, drips or bombs, so the
transport is tested against real sockets::

    with MisbehavingProvider([answer(500), issue_key("sk-or-v1-...")]) as provider:
        client = OpenRouterClient(provider.url)
        ...
        assert len(provider.exchanges) == 1
        assert provider.requests[0].headers["content-type"] == "application/json"

A *script* is one act, or a list of acts: the first request gets the first act, and so on; the last
act serves all further requests. An act is a function ``(connection) -> None`` that writes to a
:class:`Connection`; the functions at the end of this module make the usual ones. After an act the
connection is kept for the next request unless the act closed it.

``on_connect`` is an act for the bare TCP connection, before TLS and before any request: reset it,
let it hang, or send what is no TLS. ``tls`` is a server-side ``ssl.SSLContext``.
"""

from __future__ import annotations

import contextlib
import functools
import gzip
import json
import socket
import ssl
import struct
import threading
import zlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any, TypeAlias

from polling import PATIENCE

REASONS = {200: "OK", 302: "Found", 400: "Bad Request", 500: "Internal Server Error"}


@dataclass(frozen=True)
class ReceivedRequest:
    """A request as it arrived. ``headers`` has lower-case names; ``body`` is not decoded."""

    method: str
    path: str
    headers: Mapping[str, str]
    body: bytes = b""
    header_names: tuple[str, ...] = field(default=())

    @property
    def json(self) -> Any:
        """The body, parsed as JSON."""
        return json.loads(self.body)


class Connection:
    """One accepted connection, as an act sees it."""

    def __init__(self, sock: socket.socket, stopped: threading.Event) -> None:
        self.sock = sock
        self.request = ReceivedRequest("", "", {})
        self.is_open = True
        self._stopped = stopped

    def send(self, data: bytes) -> None:
        """Send ``data``; silently nothing if the client has gone."""
        try:
            self.sock.sendall(data)
        except OSError:
            self.is_open = False

    def wait(self, seconds: float) -> bool:
        """Wait; false if the provider is being stopped or the client has gone."""
        return not self._stopped.wait(seconds) and self.is_open

    def close(self) -> None:
        """Close politely (FIN)."""
        self.is_open = False

    def reset(self) -> None:
        """Close with a reset (RST), as a crashing peer does."""
        self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.is_open = False


Act: TypeAlias = Callable[[Connection], None]


class MisbehavingProvider:
    """The server; a context manager that starts it and, at the end, closes every connection.

    ``url``: its origin. ``requests``: all that arrived, in order. ``exchanges``: those that were
    ``POST /api/v1/auth/keys``. ``connections``: how many were accepted. ``handshakes``: how many
    reached a finished TLS handshake. ``host`` is the name used in ``url``; ``port`` 0 takes a free
    one.
    """

    def __init__(
        self,
        script: Act | Sequence[Act] = (),
        *,
        tls: ssl.SSLContext | None = None,
        on_connect: Act | None = None,
        host: str = "127.0.0.1",
        port: int = 0,
    ) -> None:
        self._script = list(script) if isinstance(script, Sequence) else [script]
        self._tls = tls
        self._on_connect = on_connect
        self.requests: list[ReceivedRequest] = []
        self.connections = 0
        self.handshakes = 0
        self._stopped = threading.Event()
        self._lock = threading.Lock()
        self._sockets: list[socket.socket] = []
        self._threads: list[threading.Thread] = []
        self._listener = socket.create_server(("127.0.0.1", port), backlog=128)
        self.port: int = self._listener.getsockname()[1]
        self.url = f"{'https' if tls else 'http'}://{host}:{self.port}"

    @property
    def exchanges(self) -> list[ReceivedRequest]:
        """The requests that exchange a code."""
        return [
            request
            for request in self.requests
            if (request.method, request.path) == ("POST", "/api/v1/auth/keys")
        ]

    def __enter__(self) -> MisbehavingProvider:
        self._start(self._accept)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._stopped.set()
        # A listener that is only closed leaves accept() waiting.
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self.drop_connections()
        for thread in list(self._threads):
            thread.join(timeout=PATIENCE)
            assert not thread.is_alive(), "an act does not end"

    def drop_connections(self) -> None:
        """Close every open connection now, as a server does with idle ones."""
        with self._lock:
            sockets, self._sockets = self._sockets, []
        for sock in sockets:
            with contextlib.suppress(OSError):
                sock.shutdown(socket.SHUT_RDWR)

    def _start(self, target: Callable[..., None], *args: object) -> None:
        thread = threading.Thread(target=target, args=args, daemon=True)
        self._threads.append(thread)
        thread.start()

    def _accept(self) -> None:
        while not self._stopped.is_set():
            try:
                sock, _ = self._listener.accept()
            except OSError:
                return
            with self._lock:
                self.connections += 1
                self._sockets.append(sock)
            self._start(self._serve, sock)

    def _serve(self, sock: socket.socket) -> None:
        """Serve one connection to its end. Whatever the client does, nothing is raised here."""
        with contextlib.ExitStack() as stack:
            stack.callback(lambda: self._close(sock))
            with contextlib.suppress(OSError, ValueError):
                sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                connection = Connection(sock, self._stopped)
                if self._on_connect is not None:
                    self._on_connect(connection)
                    if not connection.is_open:
                        return
                if self._tls is not None:
                    secured = self._tls.wrap_socket(sock, server_side=True)
                    with self._lock:
                        self.handshakes += 1
                        self._sockets.append(secured)
                    stack.callback(lambda: self._close(secured))
                    connection.sock = secured
                self._answer_requests(connection)

    def _answer_requests(self, connection: Connection) -> None:
        with connection.sock.makefile("rb") as stream:
            for request in _requests(stream):
                connection.request = request
                with self._lock:
                    act = self._script[min(len(self.requests), len(self._script) - 1)]
                    self.requests.append(request)
                act(connection)
                if not connection.is_open:
                    return

    def _close(self, sock: socket.socket) -> None:
        with self._lock, contextlib.suppress(ValueError):
            self._sockets.remove(sock)
        sock.close()


def _requests(stream: Any) -> Iterator[ReceivedRequest]:
    while line := stream.readline(65_536):
        method, path, _ = line.decode("latin-1").split(" ", 2)
        names, headers = [], {}
        while (line := stream.readline(65_536)) not in (b"\r\n", b""):
            name, _, value = line.decode("latin-1").partition(":")
            names.append(name.lower())
            headers[name.lower()] = value.strip()
        body = stream.read(int(headers.get("content-length", "0")))
        yield ReceivedRequest(method, path, headers, body, tuple(names))


# --- acts -------------------------------------------------------------------------------------


def http_answer(
    status: int = 200,
    body: bytes | str | Mapping[str, Any] = b"",
    headers: Mapping[str, str] | None = None,
    *,
    length: int | None = None,
) -> bytes:
    """Return the bytes of a whole HTTP answer; a mapping becomes JSON."""
    if isinstance(body, Mapping):
        body = json.dumps(body)
    if isinstance(body, str):
        body = body.encode()
    fields = {
        "Content-Type": "application/json",
        "Content-Length": str(len(body) if length is None else length),
        **(headers or {}),
    }
    head = f"HTTP/1.1 {status} {REASONS.get(status, 'Other')}\r\n"
    head += "".join(f"{name}: {value}\r\n" for name, value in fields.items())
    return head.encode("latin-1") + b"\r\n" + body


def raw(data: bytes, *, close: bool = True) -> Act:
    """Send exactly these bytes."""

    def act(connection: Connection) -> None:
        connection.send(data)
        if close:
            connection.close()

    return act


def answer(
    status: int = 200,
    body: bytes | str | Mapping[str, Any] = b"",
    headers: Mapping[str, str] | None = None,
) -> Act:
    """Send a well-formed answer and keep the connection."""
    return raw(http_answer(status, body, headers), close=False)


def issue_key(api_key: str, user_id: str | None = "user_1") -> Act:
    """Answer an exchange as OpenRouter does."""
    return answer(200, {"key": api_key, "user_id": user_id})


def redirect_to(url: str, status: int = 302) -> Act:
    """Send the client elsewhere."""
    return answer(status, b"", {"Location": url})


def reset(after: bytes = b"") -> Act:
    """Send ``after``, then reset the connection."""

    def act(connection: Connection) -> None:
        connection.send(after)
        if after:
            connection.wait(0.05)  # A reset overtakes what has not been read yet.
        connection.reset()

    return act


def hang(seconds: float = 30.0, after: bytes = b"") -> Act:
    """Send ``after``, then nothing more, without closing."""

    def act(connection: Connection) -> None:
        connection.send(after)
        connection.wait(seconds)
        connection.close()

    return act


def drip(data: bytes, interval: float = 0.05, *, after: bytes = b"") -> Act:
    """Send ``after`` at once and then ``data`` byte by byte, with ``interval`` seconds between."""

    def act(connection: Connection) -> None:
        connection.send(after)
        for byte in data:
            connection.send(bytes([byte]))
            if not connection.wait(interval):
                break
        connection.close()

    return act


def flood(block: bytes, *, after: bytes = b"", blocks: int = 1_000_000, pause: float = 0) -> Act:
    """Send ``after``, then ``block`` again and again until the client goes away.

    ``pause``: seconds between two blocks.
    """

    def act(connection: Connection) -> None:
        connection.send(after)
        for _ in range(blocks):
            if not connection.wait(pause):
                break
            connection.send(block)
        connection.close()

    return act


def endless_body(start: bytes = b" ") -> Act:
    """Send a chunked body of ``start`` and blanks that never end."""
    head = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
    head += b"%x\r\n%b\r\n" % (len(start), start)
    return flood(b"4000\r\n" + b" " * 0x4000 + b"\r\n", after=head)


def flood_of_informational_answers() -> Act:
    """Send ``100 Continue`` for ever."""
    return flood(b"HTTP/1.1 100 Continue\r\nX: y\r\n\r\n" * 5, pause=0.01)


def gzip_bomb(megabytes: int, layers: int = 1, encoding: str = "gzip") -> Act:
    """Answer with zeros, compressed ``layers`` times."""
    data = _compressed_zeros(megabytes)
    for _ in range(layers - 1):
        data = gzip.compress(data)
    return raw(http_answer(200, data, {"Content-Encoding": encoding}))


def _compressed_zeros(megabytes: int) -> bytes:
    block = bytes(1024 * 1024)
    compressor = zlib.compressobj(9, zlib.DEFLATED, -15)
    # After a full flush, nothing refers to what came before: the piece can be repeated.
    piece = compressor.compress(block) + compressor.flush(zlib.Z_FULL_FLUSH)
    checksum = functools.reduce(lambda crc, _: zlib.crc32(block, crc), range(megabytes), 0)
    end = struct.pack("<II", checksum, len(block) * megabytes)
    return b"\x1f\x8b\x08" + bytes(7) + piece * megabytes + compressor.flush() + end


def tunnel_to(port: int) -> Act:
    """Be a proxy: grant a ``CONNECT``, to wherever, and copy bytes from and to ``port``."""

    def act(connection: Connection) -> None:
        connection.send(b"HTTP/1.1 200 Connection established\r\n\r\n")
        with socket.create_connection(("127.0.0.1", port)) as upstream:
            back = threading.Thread(target=_copy, args=(upstream, connection.sock), daemon=True)
            back.start()
            _copy(connection.sock, upstream)
            back.join(timeout=PATIENCE)
        connection.close()

    return act


def _copy(source: socket.socket, target: socket.socket) -> None:
    with contextlib.suppress(OSError):
        while data := source.recv(65_536):
            target.sendall(data)
    with contextlib.suppress(OSError):
        target.shutdown(socket.SHUT_RDWR)
