"""No test speaks to anybody but this machine: every other connection and look-up is refused.

An audit hook, so that no library can go around it. It stays until the process ends.
"""

from __future__ import annotations

import ipaddress
import socket
import sys
from typing import Any, Final

#: What was tried, and refused.
attempts: list[str] = []

#: Documentation addresses (RFC 5737): nobody is there, which is what some tests want.
_NOBODY: Final = ipaddress.ip_network("192.0.2.0/24")
_installed: list[bool] = []


def install() -> None:
    """Refuse connections and look-ups that leave this machine, from now on."""
    if not _installed:
        _installed.append(True)
        sys.addaudithook(_refuse)


def is_local(host: object) -> bool:
    """Whether a host, as given to ``socket``, is this machine, or nobody."""
    if isinstance(host, bytes):
        host = host.decode("ascii", "replace")
    if host is None or host in ("", "localhost"):
        return True
    try:
        address = ipaddress.ip_address(str(host).partition("%")[0])
    except ValueError:
        return False
    return address.is_loopback or address.is_unspecified or address in _NOBODY


def _refuse(event: str, arguments: tuple[Any, ...]) -> None:
    if event == "socket.connect" and isinstance(arguments[1], tuple):
        host, error = arguments[1][0], OSError("tests connect to this machine only")
    elif event in ("socket.getaddrinfo", "socket.gethostbyname"):
        host, error = arguments[0], socket.gaierror("tests look up nobody")
    else:
        return
    if not is_local(host):
        # A name that nobody can have (RFC 6761) is looked up on purpose.
        if not str(host).endswith(".invalid"):
            attempts.append(f"{event} {host}")
        raise error
