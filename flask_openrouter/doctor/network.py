"""``doctor --live``: the way to OpenRouter, step by step, and what waits at its end."""

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
from ..login.pending import MAX_CLOCK_SKEW
from .case import Case
from .finding import Finding, ok, problem, warning

#: Seconds for each step.
TIMEOUT: Final = 10.0


@dataclass
class Way:
    """The way from this machine to the base URL. Each method is one check."""

    #: Unix time in seconds.
    clock: Callable[[], float] = time.time
    timeout: float = TIMEOUT
    #: Resolves a host and a port, as ``socket.getaddrinfo`` does.
    look_up: Callable[[str, int], Sequence[object]] = socket.getaddrinfo
    #: Whether the steps so far went well; the others would only say the same again.
    is_open: bool = field(default=True, init=False)

    def connect(self, case: Case) -> Iterator[Finding]:
        """Find what is wrong with name resolution, TCP, the proxy, and TLS."""
        from ..client.transport import Transport

        self.is_open = False
        base_url = case.settings.base_url
        environment = Environment.read(base_url)
        # Notices a certificate bundle that cannot be read.
        Transport(base_url, environment).preload()
        target = urlsplit(environment.proxy or base_url)
        host, port = target.hostname or "", target.port or _PORTS[target.scheme.lower()]
        what = "OpenRouter"
        if environment.proxy is not None:
            what = "The proxy"
            yield ok("proxy_used", f"By the proxy {host}:{port}, as the environment says.")
        if not self._is_resolved(host, port):
            yield problem(
                "dns_failed",
                f"{what}'s name {host} cannot be resolved.",
                "Check the resolver of this machine or container, and HTTPS_PROXY if it must use a"
                " proxy.",
            )
            return
        with limited_by(Deadline(self.timeout)):
            try:
                connection = connect(host, port, None)
            except OSError as error:
                yield problem(
                    "tcp_failed",
                    f"{what} cannot be reached at {host}:{port} ({type(error).__name__}).",
                    "Let the firewall pass it, or set HTTPS_PROXY. For an emulator: start it.",
                )
                return
            with connection:
                # With a proxy the next check shows whether TLS works: it goes all the way.
                if environment.proxy is None and target.scheme == "https":
                    yield from self._shake_hands(connection, host, port, environment)
                    return
        self.is_open = True

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
                f"There is no secure connection to {host}:{port}: {reason}.",
                "Set the clock right. If a proxy of your company reads along, name its certificates"
                " in REQUESTS_CA_BUNDLE. Otherwise somebody else may be answering.",
            )
        else:
            self.is_open = True

    def ask(self, case: Case) -> Iterator[Finding]:
        """Find out whether the API answers, and whether the clocks agree."""
        from ..client.transport import Transport

        base_url = case.settings.base_url
        transport = Transport(base_url, Environment.read(base_url))
        try:
            answer = transport.send("GET", "/api/v1/models", {}, None, self.timeout)
        except OpenRouterError as error:
            self.is_open = False
            yield problem(
                "api_unreachable",
                f"GET /api/v1/models failed: {error}.",
                "Check the proxy, if there is one, and that OPENROUTER_BASE_URL speaks OpenRouter's"
                " API.",
            )
            return
        if answer.status != 200:
            yield problem(
                "api_unexpected",
                f"GET /api/v1/models answers with HTTP {answer.status} instead of 200.",
                "Check OPENROUTER_BASE_URL and the proxy; else try again later.",
            )
        yield from self._check_clock(answer.headers.get("Date", ""))

    def exchange(self, case: Case) -> Iterator[Finding]:
        """Find out whether a code that nobody issued is refused, as it is documented."""
        client = OpenRouterClient(case.settings.base_url, timeout=self.timeout, retries=0)
        try:
            client.exchange_code("doctor-asks-for-a-refusal", client.create_code_verifier())
        except CodeRefusedError:
            return
        except RateLimitError:
            yield warning(
                "exchange_busy", "OpenRouter asks to wait (HTTP 429).", "Try again in a minute."
            )
        except OpenRouterError as error:
            yield problem(
                "exchange_unexpected",
                "The exchange of a made-up code is not refused as documented, with HTTP 400 or 403:"
                f" {str(error).rstrip('.')}.",
                "Check OPENROUTER_BASE_URL and what is between this machine and OpenRouter.",
            )
        else:
            yield problem(
                "exchange_unexpected",
                "The exchange of a made-up code is granted: this is not OpenRouter.",
                "Set OPENROUTER_BASE_URL to https://openrouter.ai, or remove it.",
            )

    def _is_resolved(self, host: str, port: int) -> bool:
        # In a thread: the system's resolver knows no time limit.
        found: list[object] = []

        def resolve() -> None:
            with suppress(OSError, UnicodeError):
                found.extend(self.look_up(host, port))

        thread = threading.Thread(target=resolve, daemon=True)
        thread.start()
        thread.join(self.timeout)
        return bool(found)

    def _check_clock(self, date: str) -> Iterator[Finding]:
        try:
            skew = self.clock() - parsedate_to_datetime(date).timestamp()
        except ValueError:
            return
        if abs(skew) > MAX_CLOCK_SKEW:
            yield warning(
                "clock_skew",
                f"The clock of this machine is {abs(skew):.0f} seconds"
                f" {'ahead of' if skew > 0 else 'behind'} OpenRouter's: a login that starts on one"
                " machine and ends on another may count as too old.",
                "Let the machines keep time (NTP).",
            )


def _tls_context(environment: Environment) -> ssl.SSLContext:
    """Return what the client verifies certificates with."""
    from requests.utils import DEFAULT_CA_BUNDLE_PATH
    from urllib3.util.ssl_ import create_urllib3_context

    bundle = environment.ca_bundle or DEFAULT_CA_BUNDLE_PATH
    context = create_urllib3_context()
    context.load_verify_locations(**{"capath" if os.path.isdir(bundle) else "cafile": bundle})
    context.sslsocket_class = LimitedSSLSocket
    return context


_PORTS: Final = {"https": 443, "http": 80}
