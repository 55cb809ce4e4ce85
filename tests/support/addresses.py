"""Names with several addresses on loopback, of which some are dead."""

from __future__ import annotations

import contextlib
import socket
from collections.abc import Callable, Iterator
from typing import Any

from components import require
from ports import free_port


def has_ipv6() -> bool:
    """Whether this machine has ``::1``."""
    with socket.socket(socket.AF_INET6) as sock:
        try:
            sock.bind(("::1", 0))
        except OSError:
            return False
        return True


@contextlib.contextmanager
def silent_address(host: str = "127.0.0.1", port: int = 0) -> Iterator[tuple[Any, ...]]:
    """A listener with a full backlog: the kernel drops what else arrives, as a firewall does."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    if family == socket.AF_INET6 and not has_ipv6():
        require("IPv6", "the dead address is ::1")
    with contextlib.ExitStack() as stack:
        listener = stack.enter_context(socket.create_server((host, port), family=family, backlog=0))
        for _ in range(4):
            visitor = stack.enter_context(socket.socket(family))
            visitor.setblocking(False)
            visitor.connect_ex(listener.getsockname())
        yield listener.getsockname()


def refusing_address() -> tuple[Any, ...]:
    """An address at which nothing listens."""
    return ("127.0.0.1", free_port())


def resolver_of(*addresses: tuple[Any, ...]) -> Callable[..., list[tuple[Any, ...]]]:
    """Return a replacement for ``socket.getaddrinfo`` that finds these, whatever the name."""

    def resolve(host: Any, port: Any, *args: Any, **kwargs: Any) -> list[tuple[Any, ...]]:
        return [
            (
                socket.AF_INET6 if ":" in address[0] else socket.AF_INET,
                socket.SOCK_STREAM,
                socket.IPPROTO_TCP,
                "",
                address,
            )
            for address in addresses
        ]

    return resolve
