"""Free TCP ports on loopback, for servers that cannot listen on port 0."""

from __future__ import annotations

import random
import socket
from typing import Final

#: Below the ports that the kernel gives to connections and to port 0. So no other test, in this
#: process or in one that runs in parallel, takes such a port before the server listens on it.
_FIRST: Final = 11_000
_LAST: Final = 32_000
#: Hypothesis seeds Python's own, so two processes might choose the same port at the same time.
_random: Final = random.SystemRandom()


def free_port() -> int:
    """Return a port on which nothing listens."""
    while True:
        port = _random.randint(_FIRST, _LAST)
        with socket.socket() as listener:
            try:
                listener.bind(("127.0.0.1", port))
            except OSError:
                continue
            return port
