"""``doctor --live``: the connection to OpenRouter, step by step, and its API."""

from __future__ import annotations

import os
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from email.utils import parsedate_to_datetime
from typing import Final
from urllib.parse import urlsplit

from ..client import OpenRouterClient
from ..client.deadline import Deadline, LimitedSSLSocket, connect, limited_by
from ..client.environment import Environment
from ..errors import CodeRefusedError, OpenRouterError, RateLimitError
from ..login.cookies import MAX_CLOCK_SKEW
from .case import Case
from .finding import Finding, ok, problem, warning

#: Seconds for each step.
TIMEOUT: Final = 10.0

_DEFAULT_PORTS: Final = {"https": 443, "http": 80}


@dataclass
class Network:
    """The connection from this machine to the base URL. Each public method is one check."""

    timeout: float = TIMEOUT
    #: Resolves a host and a port, as ``socket.getaddrinfo`` does.
    resolve: Callable[[str, int], Sequence[object]] = socket.getaddrinfo
    #: Whether the steps so far succeeded. If not, later steps would only report the same failure.
    is_reachable: bool = field(default=True, init=False)

    def connect(self, case: Case) -> Iterator[Finding]:
        """Find failures of name resolution, TCP, the proxy and TLS."""
        from ..client.transport import Transport

        self.is_reachable = False
        base_url = case.settings.base_url
        environment = Environment.read(base_url)
        # Raises ConfigurationError if the certificate bundle cannot be read.
        Transport(base_url, environment).preload()
        target = urlsplit(environment.proxy or base_url)
        host, port = target.hostname or "", target.port or _DEFAULT_PORTS[target.scheme.lower()]
        peer = "OpenRouter"
        if environment.proxy is not None:
            peer = "The proxy"
            yield ok("proxy_used", f"The environment names the proxy {host}:{port}.")
        if not self._is_resolved(host, port):
            yield problem(
                "dns_failed",
                f"{peer}'s host name {host} cannot be resolved.",
                "Check the DNS settings of this machine or container. If it must use a proxy, set"
                " HTTPS_PROXY.",
            )
            return
        with limited_by(Deadline(self.timeout)):
            try:
                connection = connect(host, port, None)
            except OSError as error:
                yield problem(
                    "tcp_failed",
                    f"{peer} cannot be reached at {host}:{port} ({type(error).__name__}).",
                    "Allow the connection in the firewall, or set HTTPS_PROXY. If this is an"
                    " emulator, start it.",
                )
                return
            with connection:
                # Behind a proxy the next check tests TLS, because it talks to OpenRouter itself.
                if environment.proxy is None and target.scheme == "https":
                    yield from self._shake_hands(connection, host, port, environment)
                    return
        self.is_reachable = True

    def _shake_hands(
        self, connection: socket.socket, host: str, port: int, environment: Environment
    ) -> Iterator[Finding]:
        try:
            _tls_context(environment).wrap_socket(connection, server_hostname=host).close()
        except OSError as error:
            reasons = [getattr(error, name, None) for name in ("verify_message", "reason")]
            reason = next(filter(None, reasons), type(error).__name__)
            yield problem(
                "tls_failed",
                f"The TLS connection to {host}:{port} fails: {reason}.",
                "Check the clock of this machine. If your company's proxy inspects TLS, name its"
                " certificates in REQUESTS_CA_BUNDLE. Otherwise this may not be OpenRouter.",
            )
        else:
            self.is_reachable = True

    def call_api(self, case: Case) -> Iterator[Finding]:
        """Find an API that does not respond as expected, and clocks that differ."""
        from ..client.transport import Transport

        base_url = case.settings.base_url
        transport = Transport(base_url, Environment.read(base_url))
        try:
            response = transport.send("GET", "/api/v1/models", {}, None, self.timeout)
        except OpenRouterError as error:
            self.is_reachable = False
            yield problem(
                "api_unreachable",
                f"GET /api/v1/models failed: {error}.",
                "Check the proxy, if there is one, and that OPENROUTER_BASE_URL offers OpenRouter's"
                " API.",
            )
            return
        if response.status != 200:
            yield problem(
                "api_unexpected",
                f"GET /api/v1/models returns HTTP {response.status} instead of 200.",
                "Check OPENROUTER_BASE_URL and the proxy. If both are right, try again later.",
            )
        yield from _check_clock(response.headers.get("Date", ""))

    def exchange_code(self, case: Case) -> Iterator[Finding]:
        """Find an API that does not refuse an invalid code as documented."""
        client = OpenRouterClient(case.settings.base_url, timeout=self.timeout, retries=0)
        try:
            client.exchange_code("doctor-asks-for-a-refusal", client.create_code_verifier())
        except CodeRefusedError:
            return
        except RateLimitError:
            yield warning(
                "exchange_busy",
                "OpenRouter limits the rate of requests (HTTP 429).",
                "Try again in a minute.",
            )
        except OpenRouterError as error:
            yield problem(
                "exchange_unexpected",
                "An invalid code is not refused with HTTP 400 or 403, as documented:"
                f" {str(error).rstrip('.')}.",
                "Check OPENROUTER_BASE_URL and everything between this machine and OpenRouter.",
            )
        else:
            yield problem(
                "exchange_unexpected",
                "An invalid code is accepted, so this is not OpenRouter.",
                "Set OPENROUTER_BASE_URL to https://openrouter.ai, or remove it.",
            )

    def _is_resolved(self, host: str, port: int) -> bool:
        # In a thread, because the system's resolver has no time limit.
        found: list[object] = []

        def resolve() -> None:
            with suppress(OSError, UnicodeError):
                found.extend(self.resolve(host, port))

        thread = threading.Thread(target=resolve, daemon=True)
        thread.start()
        thread.join(self.timeout)
        return bool(found)


def _check_clock(date: str) -> Iterator[Finding]:
    try:
        skew = time.time() - parsedate_to_datetime(date).timestamp()
    except ValueError:
        return
    if abs(skew) > MAX_CLOCK_SKEW:
        yield warning(
            "clock_skew",
            f"The clock of this machine is {abs(skew):.0f} seconds"
            f" {'ahead of' if skew > 0 else 'behind'} OpenRouter's. A login that starts on one"
            " machine and ends on another may count as expired.",
            "Synchronize the clocks of all machines (NTP).",
        )


def _tls_context(environment: Environment) -> ssl.SSLContext:
    """Return a context that trusts the same certificates as the client."""
    from requests.utils import DEFAULT_CA_BUNDLE_PATH
    from urllib3.util.ssl_ import create_urllib3_context

    bundle = environment.ca_bundle or DEFAULT_CA_BUNDLE_PATH
    context = create_urllib3_context()
    context.load_verify_locations(**{"capath" if os.path.isdir(bundle) else "cafile": bundle})
    context.sslsocket_class = LimitedSSLSocket
    return context
