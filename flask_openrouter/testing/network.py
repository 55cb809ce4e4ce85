"""The network guard: inside it, this process connects to this machine only."""

from __future__ import annotations

import ipaddress
import socket
import threading
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any, NoReturn

import pytest

_OPENROUTER_REMEDY = (
    " Give your app the settings of openrouter_app_config before OpenRouterAuth(app) or"
    " init_app(app) reads them, and an OpenRouterClient the address openrouter_emulator.url."
)


@contextmanager
def guarded_network(allowed_hosts: Iterable[str] = ()) -> Iterator[None]:
    """Refuse connections and look-ups that leave this machine, for a ``with`` block.

    ``allowed_hosts``: names and addresses of other machines that may be reached. The test fails at
    the line that connects. In other threads, that line gets ConnectionRefusedError, and the test
    fails at the end of the block.
    """
    guard = _Guard(allowed_hosts)
    connect, connect_ex = socket.socket.connect, socket.socket.connect_ex
    look_up = socket.getaddrinfo

    def guarded_connect(self: socket.socket, address: Any) -> None:
        guard.check_address(self, address)
        connect(self, address)

    def guarded_connect_ex(self: socket.socket, address: Any) -> int:
        guard.check_address(self, address)
        return connect_ex(self, address)

    def guarded_look_up(host: Any, *args: Any, **kwargs: Any) -> list[tuple[Any, ...]]:
        guard.check(host)
        found: list[tuple[Any, ...]] = look_up(host, *args, **kwargs)
        guard.learn(found)
        return found

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(socket.socket, "connect", guarded_connect)
        patch.setattr(socket.socket, "connect_ex", guarded_connect_ex)
        patch.setattr(socket, "getaddrinfo", guarded_look_up)
        yield
    if guard.refused_elsewhere:
        pytest.fail(guard.refused_elsewhere[0], pytrace=False)


class _Guard:
    def __init__(self, allowed_hosts: Iterable[str]) -> None:
        self._allowed = {host.lower() for host in allowed_hosts}
        self._thread = threading.current_thread()
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

    def learn(self, found: Iterable[tuple[Any, ...]]) -> None:
        """Allow the addresses that the look-up of an allowed host returned."""
        self._allowed.update(_text(address[0]) for *_, address in found)

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


def _text(host: object) -> str:
    if isinstance(host, bytes | bytearray):
        return host.decode("ascii", "replace").lower()
    return "" if host is None else str(host).lower()
