"""A guard that refuses every connection and look-up that would leave this machine.

It replaces functions of ``socket`` until the process ends. An audit hook would also stop libraries
that bypass them. But with a hook written in Python, CPython 3.11 cannot start two threads at once
while coverage is measured ("Cannot install a trace function while ...").
"""

from __future__ import annotations

import ipaddress
import socket
from collections.abc import Callable
from typing import Any, Final

#: The hosts that were refused.
attempts: list[str] = []

#: Documentation addresses (RFC 5737). No machine has them, and some tests need such an address.
_UNUSED: Final = ipaddress.ip_network("192.0.2.0/24")
_installed: list[bool] = []


def install() -> None:
    """Refuse connections and look-ups that leave this machine, from now on."""
    if _installed:
        return
    _installed.append(True)
    for name in ("connect", "connect_ex"):
        setattr(socket.socket, name, _guarded_connect(getattr(socket.socket, name)))
    for name in ("getaddrinfo", "gethostbyname"):
        setattr(socket, name, _guarded_look_up(getattr(socket, name)))


def is_local(host: object) -> bool:
    """Whether a host, as given to ``socket``, is this machine or an unused address."""
    if isinstance(host, bytes):
        host = host.decode("ascii", "replace")
    if host is None or host in ("", "localhost"):
        return True
    try:
        address = ipaddress.ip_address(str(host).partition("%")[0])
    except ValueError:
        return False
    return address.is_loopback or address.is_unspecified or address in _UNUSED


def _guarded_connect(connect: Callable[..., Any]) -> Callable[..., Any]:
    def guarded(self: socket.socket, address: Any) -> Any:
        if isinstance(address, tuple):
            _check(address[0], OSError("tests connect to this machine only"))
        return connect(self, address)

    return guarded


def _guarded_look_up(look_up: Callable[..., Any]) -> Callable[..., Any]:
    def guarded(host: Any, *args: Any, **kwargs: Any) -> Any:
        _check(host, socket.gaierror("tests look up nobody"))
        return look_up(host, *args, **kwargs)

    return guarded


def _check(host: object, error: OSError) -> None:
    if not is_local(host):
        # Names that cannot exist (RFC 6761) are looked up on purpose.
        if not str(host).endswith(".invalid"):
            attempts.append(str(host))
        raise error
