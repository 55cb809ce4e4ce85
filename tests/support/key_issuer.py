"""A provider that exchanges each code for one key, once, as OpenRouter does. It can be held."""

from __future__ import annotations

import secrets
import threading
from collections.abc import Iterator
from contextlib import contextmanager

from misbehaving import Connection, MisbehavingProvider, answer, issue_key
from polling import PATIENCE
from visitor import fingerprint


class Gate:
    """Holds exchanges: the first sets ``arrived``, and all wait for ``opened``."""

    def __init__(self) -> None:
        self.arrived = threading.Event()
        self.opened = threading.Event()

    def wait_for_exchange(self) -> None:
        assert self.arrived.wait(PATIENCE), "no exchange arrived"


class KeyIssuer:
    """Serves ``POST /api/v1/auth/keys``. ``keys`` maps each spent code to its key."""

    def __init__(self) -> None:
        self.keys: dict[str, str] = {}
        self.gate: Gate | None = None
        self.url = ""
        self._provider: MisbehavingProvider | None = None
        self._lock = threading.Lock()

    @property
    def exchanges(self) -> int:
        """The number of exchanges that arrived."""
        assert self._provider is not None
        return len(self._provider.exchanges)

    def fingerprint(self, code: str) -> str:
        """The fingerprint of the key that this code became."""
        return fingerprint(self.keys[code])

    @contextmanager
    def held(self) -> Iterator[Gate]:
        """Hold every exchange in this block, at most until its end."""
        self.gate = gate = Gate()
        try:
            yield gate
        finally:
            self.gate = None
            gate.opened.set()

    def __call__(self, connection: Connection) -> None:
        code = connection.request.json["code"]
        gate = self.gate
        if gate is not None:
            gate.arrived.set()
            gate.opened.wait(PATIENCE)
        with self._lock:
            is_new = code not in self.keys
            if is_new:
                self.keys[code] = f"sk-or-v1-{secrets.token_hex(32)}"
        if is_new:
            issue_key(self.keys[code])(connection)
        else:
            answer(403, {"error": {"code": 403, "message": "Invalid code"}})(connection)


@contextmanager
def running_key_issuer() -> Iterator[KeyIssuer]:
    """Serve a key issuer on a free loopback port."""
    key_issuer = KeyIssuer()
    with MisbehavingProvider(key_issuer) as provider:
        key_issuer._provider, key_issuer.url = provider, provider.url
        yield key_issuer
