"""Racing connections for the clients of ``httpx`` and its successor.

Their own connections try the addresses of a name one after the other, each with the whole time to
connect. Asynchronous clients already race (anyio), but not beyond TCP: an address whose handshake
hangs costs them the call.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable
from typing import Any

from .environment import Environment
from .racing import connect


def race_addresses(client: Any, environment: Environment) -> None:
    """Let this client connect as :mod:`.racing` does.

    Neither package has an option for it. Where a release hides its network elsewhere, its client
    stays as it is: slower with a dead address, and otherwise the same.
    """
    for transport in (client._transport, *client._mounts.values()):
        pool: Any = getattr(transport, "_pool", None)
        backend = getattr(pool, "_network_backend", None)
        connect_tcp = getattr(backend, "connect_tcp", None)
        # Its classes name the package as their module, but not the module that defines them.
        module = sys.modules.get(getattr(connect_tcp, "__module__", ""))
        if hasattr(module, "SyncStream"):
            pool._network_backend = _RacingBackend(backend, module, environment)


class _RacingBackend:
    """A network backend of ``httpcore`` or its successor; ``module`` defines theirs."""

    def __init__(self, backend: Any, module: Any, environment: Environment) -> None:
        self._backend = backend
        self._module = module
        self._environment = environment

    def __getattr__(self, name: str) -> Any:
        return getattr(self._backend, name)

    def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[tuple[Any, ...]] | None = None,
    ) -> Any:
        """Return a stream over a TCP connection. A client of ours binds no local address."""
        errors = {TimeoutError: self._module.ConnectTimeout, OSError: self._module.ConnectError}
        with self._module.map_exceptions(errors):
            sock = connect(
                host,
                port,
                timeout,
                resolver=self._environment.resolver,
                continues_with_tls=self._environment.proxy is None,
            )
            for option in socket_options or ():
                sock.setsockopt(*option)
        return self._module.SyncStream(sock)
