"""The provider's own process, over HTTP or TLS, as fast as Python can.

``POST /api/v1/auth/keys`` takes JSON, as OpenRouter does, and the form of RFC 6749 as well, which
the peers send; it answers with OpenRouter's ``{"key", "user_id"}``. It refuses a wrong code
verifier and a code that was spent. ``GET /api/v1/key`` answers with the key that it was sent.

Writes its port to standard output. Then each line of standard input is a command: ``counts`` is
answered with a line of JSON, as each is; ``delay 0.01`` makes each later answer wait; ``hang-up``
closes all connections. Ends with its input.
"""

from __future__ import annotations

import json
import socket
import socketserver
import ssl
import sys
import threading
import time
from contextlib import suppress
from urllib.parse import parse_qsl

from .exchange import is_verified, key_of


class Server(socketserver.ThreadingTCPServer):
    """One thread per connection, which is kept until the client hangs up."""

    daemon_threads = True
    request_queue_size = 128

    def __init__(self, tls: ssl.SSLContext | None) -> None:
        super().__init__(("127.0.0.1", 0), Connection)
        self.tls = tls
        self.delay = 0.0
        self.counts = {"connections": 0, "handshakes": 0, "exchanges": 0, "refused": 0}
        self._spent: set[str] = set()
        self._open: set[socket.socket] = set()
        self._lock = threading.Lock()

    def count(self, name: str) -> None:
        """Count one more of these."""
        with self._lock:
            self.counts[name] += 1

    def keep(self, connection: socket.socket, is_open: bool) -> None:
        """Remember an open connection, or forget it."""
        with self._lock:
            (self._open.add if is_open else self._open.discard)(connection)

    def hang_up(self) -> None:
        """Close every connection, as a server does with those that are idle for too long."""
        with self._lock:
            for connection in self._open:
                with suppress(OSError):
                    connection.shutdown(socket.SHUT_RDWR)

    def exchange(self, values: dict[str, str]) -> tuple[str, dict[str, str]]:
        """Return the status line and the answer to a code and its verifier."""
        code = values.get("code", "")
        with self._lock:
            is_new = code not in self._spent
            self._spent.add(code)
        if not is_new or not is_verified(code, values.get("code_verifier", "")):
            self.count("refused")
            return "403 Forbidden", {"error": "Invalid code or code_verifier"}
        self.count("exchanges")
        key = key_of(code)
        return "200 OK", {"key": key, "user_id": f"user_{key[-27:]}"}


class Connection(socketserver.StreamRequestHandler):
    """Requests and answers on one connection."""

    server: Server
    disable_nagle_algorithm = True
    wbufsize = -1

    def setup(self) -> None:
        """Shake hands, in the thread of this connection."""
        self.server.count("connections")
        if self.server.tls is not None:
            connection: socket.socket = self.request
            self.request = self.server.tls.wrap_socket(connection, server_side=True)
            self.server.count("handshakes")
        self.server.keep(self.request, True)
        super().setup()

    def finish(self) -> None:
        """Forget the connection."""
        self.server.keep(self.request, False)
        super().finish()

    def handle(self) -> None:
        """Answer until the client hangs up."""
        while request_line := self.rfile.readline():
            headers = self._headers()
            body = self.rfile.read(int(headers.get("content-length", "0")))
            if request_line.startswith(b"GET"):
                status, answer = "200 OK", {"key": headers["authorization"].split()[1]}
            else:
                is_json = headers.get("content-type", "").startswith("application/json")
                values = json.loads(body) if is_json else dict(parse_qsl(body.decode()))
                status, answer = self.server.exchange(values)
            if self.server.delay:
                time.sleep(self.server.delay)
            content = json.dumps(answer).encode()
            self.wfile.write(
                f"HTTP/1.1 {status}\r\nContent-Type: application/json\r\n"
                f"Content-Length: {len(content)}\r\n\r\n".encode()
                + content
            )
            self.wfile.flush()

    def _headers(self) -> dict[str, str]:
        headers = {}
        while (line := self.rfile.readline().decode("latin-1").strip()) != "":
            name, _, value = line.partition(":")
            headers[name.lower()] = value.strip()
        return headers


def main() -> None:
    """Serve; the one argument, if given, is the file with the certificate and its key."""
    tls = None
    if len(sys.argv) > 1:
        tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        tls.load_cert_chain(sys.argv[1])
    with Server(tls) as server:
        # A client that hangs up is no trouble.
        server.handle_error = lambda *_: None  # type: ignore[method-assign]
        threading.Thread(target=server.serve_forever, daemon=True).start()
        print(server.server_address[1], flush=True)
        for line in sys.stdin:
            command, _, argument = line.strip().partition(" ")
            if command == "delay":
                server.delay = float(argument)
            elif command == "hang-up":
                server.hang_up()
            print(json.dumps(server.counts), flush=True)
        server.shutdown()


if __name__ == "__main__":
    main()
