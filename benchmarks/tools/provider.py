"""A local provider in a process of its own, over TLS, as fast as Python can.

``POST /api/v1/auth/keys`` takes JSON, as OpenRouter does, and also the form of RFC 6749, which the
peers send. It answers with OpenRouter's ``{"key", "user_id"}``. It refuses a wrong code verifier
and a code that was used before.
"""

from __future__ import annotations

import json
import os
import socketserver
import ssl
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple
from urllib.parse import parse_qsl

from .. import ROOT
from .browser import is_verified, key_of


class Counts(NamedTuple):
    """Numbers since the start: connections, codes that bought a key, codes that were refused."""

    connections: int
    exchanges: int
    refused: int


class Provider:
    """The provider's process. ``url`` is its origin."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        assert process.stdin is not None
        assert process.stdout is not None
        self._input, self._output = process.stdin, process.stdout
        self.url = f"https://127.0.0.1:{int(self._output.readline())}"

    def counts(self) -> Counts:
        """Return what the provider has seen."""
        print(file=self._input, flush=True)
        return Counts(*json.loads(self._output.readline()))


@contextmanager
def running_provider() -> Iterator[Provider]:
    """Start a provider and end it afterwards.

    Its certificate comes from an authority that only this environment trusts, by
    ``REQUESTS_CA_BUNDLE``. Apps must be created inside.
    """
    from certificates import CertificateAuthority

    before = os.environ.pop("REQUESTS_CA_BUNDLE", None)
    with tempfile.TemporaryDirectory(prefix="openrouter-bench-") as folder:
        authority = CertificateAuthority(Path(folder))
        authority.server_context("127.0.0.1")
        command = [sys.executable, "-m", __name__, f"{folder}/server.pem"]
        pipe = subprocess.PIPE
        with subprocess.Popen(command, stdin=pipe, stdout=pipe, text=True, cwd=ROOT) as process:
            os.environ["REQUESTS_CA_BUNDLE"] = str(authority.bundle)
            try:
                yield Provider(process)
            finally:
                process.terminate()
                del os.environ["REQUESTS_CA_BUNDLE"]
                if before is not None:
                    os.environ["REQUESTS_CA_BUNDLE"] = before


# -- in the process ---------------------------------------------------------------------------


class Server(socketserver.ThreadingTCPServer):
    """One thread for each connection, which is kept until the client closes it."""

    daemon_threads = True

    def __init__(self, certificate: str) -> None:
        super().__init__(("127.0.0.1", 0), Connection)
        self.tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.tls.load_cert_chain(certificate)
        self.connections = 0
        self.bought: set[str] = set()
        self.refused = 0

    def handle_error(self, request: object, client_address: object) -> None:
        """Ignore clients that close their connection."""

    def exchange(self, code: str, code_verifier: str) -> tuple[str, dict[str, str]]:
        """Return the status line and the response to a code and its verifier."""
        if code in self.bought or not is_verified(code, code_verifier):
            self.refused += 1
            return "403 Forbidden", {"error": "Invalid code or code_verifier"}
        self.bought.add(code)
        key = key_of(code)
        return "200 OK", {"key": key, "user_id": f"user_{key[-27:]}"}


class Connection(socketserver.StreamRequestHandler):
    """Requests and responses on one connection."""

    server: Server
    disable_nagle_algorithm = True

    def setup(self) -> None:
        """Shake hands in the thread of this connection."""
        self.server.connections += 1
        self.request = self.server.tls.wrap_socket(self.request, server_side=True)
        super().setup()

    def handle(self) -> None:
        """Answer until the client closes the connection."""
        while self.rfile.readline():
            headers = {}
            while line := self.rfile.readline().decode("latin-1").strip():
                name, _, value = line.partition(":")
                headers[name.lower()] = value.strip()
            body = self.rfile.read(int(headers["content-length"]))
            is_json = headers["content-type"].startswith("application/json")
            sent = json.loads(body) if is_json else dict(parse_qsl(body.decode()))
            status, response = self.server.exchange(sent["code"], sent["code_verifier"])
            content = json.dumps(response)
            head = f"HTTP/1.1 {status}\r\nContent-Type: application/json\r\n"
            self.wfile.write(f"{head}Content-Length: {len(content)}\r\n\r\n{content}".encode())


def main() -> None:
    """Print the port, then the counts for each line of input. Serve until the input ends."""
    with Server(sys.argv[1]) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        print(server.server_address[1], flush=True)
        for _ in sys.stdin:
            print([server.connections, len(server.bought), server.refused], flush=True)
        server.shutdown()


if __name__ == "__main__":
    main()
