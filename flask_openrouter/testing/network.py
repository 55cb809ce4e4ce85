"""The network guard: inside it, this process connects to this machine only."""

from __future__ import annotations

import ipaddress
import socket
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from typing import Any, Final, NoReturn
from urllib.parse import urlsplit
from urllib.request import getproxies

import pytest

_OPENROUTER_REMEDY = (
    " Give your app the settings of openrouter_app_config before OpenRouterAuth(app) or"
    " init_app(app) reads them, and an OpenRouterClient the address openrouter_emulator.url."
)

_DEFAULT_PORTS: Final = {"https": 443, "socks5": 1080, "socks5h": 1080, "socks4": 1080}


@contextmanager
def guarded_network(allowed_hosts: Iterable[str] = ()) -> Iterator[None]:
    """Refuse connections and look-ups that leave this machine, for a ``with`` block.

    ``allowed_hosts``: names and addresses of other machines that may be reached. A proxy that the
    environment names counts as another machine, even on this one. The test fails at the line that
    connects. In other threads, that line gets ConnectionRefusedError, and the test fails at the end
    of the block.
    """
    guard = _Guard(allowed_hosts)
    names = ("connect", "connect_ex", "sendto")
    look_ups = ("getaddrinfo", "gethostbyname", "gethostbyname_ex")
    patches: list[tuple[Any, str, Callable[..., Any]]]
    patches = [(socket.socket, name, guard.around_connection) for name in names]
    patches += [(socket, name, guard.around_look_up) for name in look_ups]
    with ExitStack() as stack:
        for target, name, wrap in patches:
            stack.enter_context(_replaced(target, name, wrap(getattr(target, name))))
        yield
    if guard.refused_elsewhere:
        pytest.fail(guard.refused_elsewhere[0], pytrace=False)


@contextmanager
def _replaced(target: Any, name: str, replacement: Callable[..., Any]) -> Iterator[None]:
    """Replace an attribute for a ``with`` block.

    If another plugin, such as pytest-socket, has replaced it meanwhile, it stays as that left it.
    """
    before = vars(target).get(name)
    setattr(target, name, replacement)
    try:
        yield
    finally:
        if vars(target).get(name) is replacement:
            if before is None:
                delattr(target, name)
            else:
                setattr(target, name, before)


class _Guard:
    def __init__(self, allowed_hosts: Iterable[str]) -> None:
        self._allowed = {host.lower() for host in allowed_hosts}
        self._thread = threading.current_thread()
        # Read once: a test may set up a proxy of its own.
        self._proxies = {
            port for host, port in _proxies_of_this_machine() if host not in self._allowed
        }
        #: Messages of the refusals in other threads.
        self.refused_elsewhere: list[str] = []

    def check(self, host: object) -> None:
        """Refuse a host that may not be reached."""
        name = _text(host)
        if not is_local(name) and name not in self._allowed:
            self._refuse(name)

    def check_address(self, connection: socket.socket, address: Any) -> None:
        """Refuse an address that a socket may not connect to."""
        # Other address families, such as Unix sockets, never leave this machine.
        if connection.family in (socket.AF_INET, socket.AF_INET6):
            self.check(address[0])
            if address[1] in self._proxies and is_local(_text(address[0])):
                self._refuse(f"the proxy of the environment at {_text(address[0])}:{address[1]}")

    def around_connection(self, connect: Callable[..., Any]) -> Callable[..., Any]:
        """Return a method of sockets whose last argument is checked first."""

        def guarded(connection: socket.socket, *args: Any) -> Any:
            self.check_address(connection, args[-1])
            return connect(connection, *args)

        return guarded

    def around_look_up(self, look_up: Callable[..., Any]) -> Callable[..., Any]:
        """Return a function that looks up the address of a host, which is checked first."""

        def guarded(host: Any, *args: Any, **kwargs: Any) -> Any:
            self.check(host)
            found = look_up(host, *args, **kwargs)
            self.learn(_addresses_in(found))
            return found

        return guarded

    def learn(self, addresses: Iterable[object]) -> None:
        """Allow the addresses that the look-up of an allowed host returned."""
        self._allowed.update(map(_text, addresses))

    def _refuse(self, host: str) -> NoReturn:
        remedy = _OPENROUTER_REMEDY if host == "openrouter.ai" else ""
        message = (
            f"This test reached for {host}, and tests with openrouter_emulator stay on this"
            f" machine.{remedy} If your tests need this host, return it from a fixture named"
            " openrouter_allowed_hosts."
        )
        if threading.current_thread() is self._thread:
            pytest.fail(message)
        self.refused_elsewhere.append(message)
        raise ConnectionRefusedError(message)


def is_local(host: str) -> bool:
    """Whether a host, as given to ``socket``, is this machine, or no machine (RFC 6761 §6.4)."""
    # "" means every address of this machine.
    if host in ("", "localhost") or host.endswith(".invalid"):
        return True
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return False
    if isinstance(address, ipaddress.IPv6Address) and address.ipv4_mapped is not None:
        address = address.ipv4_mapped
    return address.is_loopback or address.is_unspecified


def _proxies_of_this_machine() -> Iterator[tuple[str, int]]:
    """Yield the host and the port of each proxy on this machine that the environment names."""
    for kind, url in getproxies().items():
        # An address that cannot be read is an error wherever the proxy is used.
        with suppress(ValueError):
            parts = urlsplit(url if "://" in url else f"//{url}")
            host = parts.hostname
            if kind != "no" and host is not None and is_local(host):
                yield host, parts.port or _DEFAULT_PORTS.get(parts.scheme, 80)


def _addresses_in(found: Any) -> Iterator[object]:
    """Yield the addresses in the result of any function that looks up a host."""
    if isinstance(found, str):
        yield found
    elif isinstance(found, tuple):
        yield from found[2]
    else:
        yield from (address[0] for *_, address in found)


def _text(host: object) -> str:
    if isinstance(host, bytes | bytearray):
        return host.decode("ascii", "replace").lower()
    return "" if host is None else str(host).lower()
