"""``doctor --live``: the connection to OpenRouter, step by step, and its API."""

from __future__ import annotations

import errno
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field
from email.utils import parsedate_to_datetime
from math import inf
from typing import Any, Final, TypeAlias
from urllib.parse import urlsplit

from ..client import OpenRouterClient
from ..client.deadline import Deadline, limited_by
from ..client.environment import Environment
from ..client.racing import Address, Race, addresses_of
from ..errors import CodeRefusedError, OpenRouterError, RateLimitError
from ..login.cookies import MAX_CLOCK_SKEW
from .case import Case
from .finding import Finding, ok, problem, warning

#: Seconds for each step.
TIMEOUT: Final = 10.0

_DEFAULT_PORTS: Final = {"https": 443, "http": 80}
_MOST_AT_ONCE: Final = 16
#: A machine without IPv6 is often given IPv6 addresses. The system refuses them at once.
_NO_ROUTE: Final = {errno.ENETUNREACH, errno.EADDRNOTAVAIL, errno.EAFNOSUPPORT}


@dataclass(frozen=True)
class _Failure:
    """Why an address cannot be used. ``is_tls``: the TCP connection succeeded."""

    error: OSError
    is_tls: bool

    @property
    def reason(self) -> str:
        """The reason in a few words, without secrets."""
        names = ("verify_message", "reason", "strerror" if type(self.error) is OSError else "")
        reasons = [getattr(self.error, name, None) for name in names]
        return str(next(filter(None, reasons), type(self.error).__name__))

    @property
    def is_immediate(self) -> bool:
        """Whether the next address is tried at once, so that no time is lost."""
        return not self.is_tls and (
            isinstance(self.error, ConnectionRefusedError) or self.error.errno in _NO_ROUTE
        )


#: Addresses, and why each of them fails.
_Failures: TypeAlias = Sequence[tuple[str, _Failure]]


@dataclass
class Network:
    """The connection from this machine to the base URL. Each public method is one check."""

    timeout: float = TIMEOUT
    #: Resolves a host and a port; by default ``socket.getaddrinfo``.
    resolve: Callable[[str, int], Iterable[Any]] | None = None
    #: Whether the steps so far succeeded. If not, later steps would only report the same failure.
    is_reachable: bool = field(default=True, init=False)

    def connect(self, case: Case) -> Iterator[Finding]:
        """Find failures of name resolution, TCP, the proxy and TLS, at each address of the host."""
        from ..client.transport import tls_context

        self.is_reachable = False
        base_url = case.settings.base_url
        environment = Environment.read(base_url)
        # Raises ConfigurationError if the certificate bundle cannot be read.
        context = tls_context(environment)
        target = urlsplit(environment.proxy or base_url)
        host, port = target.hostname or "", target.port or _DEFAULT_PORTS[target.scheme.lower()]
        peer = "OpenRouter"
        if environment.proxy is not None:
            peer = "The proxy"
            yield ok("proxy_used", f"The environment names the proxy {host}:{port}.")
        addresses = self._addresses(host, port)
        if not addresses:
            yield problem(
                "dns_failed",
                f"{peer}'s host name {host} cannot be resolved.",
                "Check the DNS settings of this machine or container. If it must use a proxy, set"
                " HTTPS_PROXY.",
            )
            return
        # Behind a proxy the next check tests TLS, because it talks to OpenRouter itself.
        is_tls = environment.proxy is None and target.scheme == "https"
        failures = self._failures(addresses, host if is_tls else None, context)
        self.is_reachable = len(failures) < len(addresses)
        if self.is_reachable:
            yield from _some_failed(host, failures)
        else:
            yield _all_failed(peer, f"{host}:{port}", failures)

    def _addresses(self, host: str, port: int) -> list[Address]:
        # In a thread, because the system's resolver has no time limit.
        found: list[Any] = []

        def resolve() -> None:
            with suppress(OSError, UnicodeError):
                found.extend((self.resolve or socket.getaddrinfo)(host, port))

        thread = threading.Thread(target=resolve, daemon=True)
        thread.start()
        thread.join(self.timeout)
        return addresses_of(host, port, lambda *_, **__: found)

    def _failures(
        self, addresses: Sequence[Address], tls_host: str | None, context: ssl.SSLContext
    ) -> _Failures:
        """Return what fails at which address. All are tried at once."""

        def try_one(address: Address) -> _Failure | None:
            is_connected = False
            with limited_by(Deadline(self.timeout)):
                try:
                    with Race([address], inf).connect() as connection:
                        is_connected = True
                        if tls_host is not None:
                            context.wrap_socket(connection, server_hostname=tls_host).close()
                except OSError as error:
                    return _Failure(error, is_tls=is_connected)
            return None

        with ThreadPoolExecutor(min(len(addresses), _MOST_AT_ONCE)) as pool:
            results = zip(addresses, pool.map(try_one, addresses), strict=True)
            return [(str(where[0]), failure) for (_, where), failure in results if failure]

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


def _some_failed(host: str, failures: _Failures) -> Iterator[Finding]:
    for address, failure in failures:
        title = f"{address}, one of the addresses of {host}, fails: {failure.reason}."
        if failure.is_immediate:
            yield ok("address_failed", f"{title} The others do not, and this takes no time.")
            continue
        kind = "IPv6" if ":" in address else "IPv4"
        if failure.is_tls:
            remedy = "Find out what answers at this address. It may be a proxy that inspects TLS."
        else:
            remedy = (
                f"Repair the {kind} route of this machine or container to this address, or allow"
                f" the connection in the firewall. If {kind} cannot work here, turn it off."
            )
        yield warning(
            "address_failed",
            f"{title} The others work, so logins do, but new connections may start later.",
            remedy,
        )


def _all_failed(peer: str, where: str, failures: _Failures) -> Finding:
    with_tls = [(address, failure) for address, failure in failures if failure.is_tls]
    if with_tls:
        return problem(
            "tls_failed",
            f"The TLS connection to {where} fails: {_reasons(with_tls)}.",
            "Check the clock of this machine. If your company's proxy inspects TLS, name its"
            " certificates in REQUESTS_CA_BUNDLE. Otherwise this may not be OpenRouter.",
        )
    return problem(
        "tcp_failed",
        f"{peer} cannot be reached at {where} ({_reasons(failures)}).",
        "Allow the connection in the firewall, or set HTTPS_PROXY. If this is an emulator, start"
        " it.",
    )


def _reasons(failures: _Failures) -> str:
    if len(failures) == 1:
        return failures[0][1].reason
    return ", ".join(f"{address}: {failure.reason}" for address, failure in failures)


def _check_clock(date: str) -> Iterator[Finding]:
    try:
        skew = time.time() - parsedate_to_datetime(date).timestamp()
    except (ValueError, TypeError, IndexError, OverflowError, OSError):
        # It is whatever the server sent.
        return
    if abs(skew) > MAX_CLOCK_SKEW:
        yield warning(
            "clock_skew",
            f"The clock of this machine is {abs(skew):.0f} seconds"
            f" {'ahead of' if skew > 0 else 'behind'} OpenRouter's. A login that starts on one"
            " machine and ends on another may count as expired.",
            "Synchronize the clocks of all machines (NTP).",
        )
