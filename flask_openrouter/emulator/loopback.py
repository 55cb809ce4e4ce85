"""Loopback addresses: where the emulator listens and sends visitors by default."""

from __future__ import annotations

import ipaddress
import re
import socket

_HOST_HEADER = re.compile(r"(?P<host>\[[0-9A-Fa-f:.]+\]|[^:\[\]]+)(?::[0-9]{1,5})?", re.ASCII)


def is_loopback_host(host: str) -> bool:
    """Whether ``host`` is ``localhost``, a literal of 127.0.0.0/8, or ``::1``.

    Names are never resolved: ``127.0.0.1.nip.io`` and similar names would pass a lookup.
    """
    if host.lower() == "localhost":
        return True
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return False
    if isinstance(address, ipaddress.IPv4Address):
        return address.is_loopback
    return address == ipaddress.IPv6Address("::1") and "%" not in host


def resolves_to_loopback(host: str) -> bool:
    """Whether this machine resolves ``host`` to loopback addresses only.

    A browser may resolve the name in another way, so this is for names that the developer chose.
    """
    try:
        found = socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError):
        return False
    return bool(found) and all(is_loopback_host(str(entry[4][0])) for entry in found)


def is_loopback_host_header(value: str) -> bool:
    """Whether a ``Host`` header names this machine, with any port."""
    match = _HOST_HEADER.fullmatch(value)
    return match is not None and is_loopback_host(match["host"].strip("[]"))


def listening_address(host: str, bind: str | None = None) -> str:
    """Return the literal address to listen on: ``bind``, or that of ``host``.

    :raises ValueError: if ``host`` is not loopback, or ``bind`` is not a literal address.
    """
    if not is_loopback_host(host):
        raise ValueError(
            f"The emulator listens on loopback only, and {host!r} is not. "
            "Use 127.0.0.1, ::1 or localhost."
        )
    if bind is None:
        # A hosts file may redirect the name, but not the literal.
        return "127.0.0.1" if host.lower() == "localhost" else host
    try:
        return str(ipaddress.ip_address(bind))
    except ValueError:
        raise ValueError(f"bind must be an IP address such as 0.0.0.0, not {bind!r}") from None
