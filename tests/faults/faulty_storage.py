"""Real storages, each behind a switch that lets it fail."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import redis
from servers import PostgreSQLServer, RedisServer

from flask_openrouter.storage import KeyStorage
from flask_openrouter.storage.uri import storage_from_uri


class Switched:
    """A storage whose operations fail on demand: ``failures`` counts the failures to come."""

    def __init__(self, inner: KeyStorage) -> None:
        self.inner = inner
        self.failures = {"get": 0, "set": 0, "delete": 0}
        #: Called before every operation, with its name.
        self.before: Callable[[str], None] = lambda operation: None

    def get(self, owner_id: str) -> str | None:
        self._enter("get", owner_id)
        return self.inner.get(owner_id)

    def set(self, owner_id: str, ciphertext: str) -> None:
        self._enter("set", owner_id, ciphertext)
        self.inner.set(owner_id, ciphertext)

    def delete(self, owner_id: str) -> None:
        self._enter("delete", owner_id)
        self.inner.delete(owner_id)

    def _enter(self, operation: str, *arguments: str) -> None:
        self.before(operation)
        if self.failures[operation]:
            self.failures[operation] -= 1
            # Some drivers quote the statement and its parameters.
            raise OSError(f"{operation} failed", *arguments)

    @contextmanager
    def failing(self, operation: str, times: int = 1_000_000) -> Iterator[None]:
        """Let an operation fail in this block."""
        self.failures[operation] = times
        try:
            yield
        finally:
            self.failures[operation] = 0


class Store:
    """The storage of one run. ``kind``: see ``fault_rows.STORAGES``."""

    def __init__(self, kind: str, uri: str | None, server: Any, folder: Path) -> None:
        self.kind = kind
        self.uri = uri
        self.server = server
        self.folder = folder
        self._opened: list[Switched] = []
        self._memory: KeyStorage | None = None

    @property
    def switch(self) -> Switched:
        """The storage of the newest app."""
        return self._opened[-1]

    def open(self, settings: dict[str, Any]) -> dict[str, Any]:
        """Return the arguments for an extension; the cookie storage needs none."""
        if self.uri is None:
            return {}
        if self.kind == "memory":
            # Apps that restart find their keys again.
            self._memory = self._memory or storage_from_uri(self.uri, max_age=1000)
            inner = self._memory
        else:
            inner = storage_from_uri(settings.pop("OPENROUTER_STORAGE_URI", self.uri), max_age=1000)
        self._opened.append(Switched(inner))
        return {"storage": self._opened[-1]}

    def close(self) -> None:
        """Close the connections."""
        for opened in self._opened:
            getattr(opened.inner, "close", lambda: None)()

    @contextmanager
    def down(self) -> Iterator[None]:
        """Take the storage away in this block, and bring it back with its data."""
        if isinstance(self.server, RedisServer | PostgreSQLServer):
            self.server.kill()
            yield
            self.server.start()
        elif self.kind == "sqlite":
            away = self.folder.with_name("away")
            self.close()
            self.folder.rename(away)
            yield
            away.rename(self.folder)
        else:
            failing = self.switch.failing
            with failing("get"), failing("set"), failing("delete"):
                yield

    def everything(self) -> list[str | bytes]:
        """Return all bytes that the storage holds, without the code under test."""
        if self.kind == "memory" and self._memory is not None:
            return [repr(vars(self._memory))]
        if self.kind == "sqlite":
            return [path.read_bytes() for path in self.folder.iterdir()]
        if isinstance(self.server, PostgreSQLServer):
            return [dump_postgresql(self.server, str(self.uri).rpartition("/")[2])]
        if isinstance(self.server, RedisServer):
            return dump_redis(self.server)
        return []


def dump_redis(server: RedisServer) -> list[str | bytes]:
    """Return every key, its value, and the value as Redis serialises it."""
    with redis.Redis(port=server.port, socket_timeout=5) as client:
        found: list[str | bytes] = []
        for key in client.scan_iter():
            found += [key, client.dump(key) or b""]
            if client.type(key) == b"string":
                found.append(client.get(key) or b"")
        return found


def dump_postgresql(server: PostgreSQLServer, database: str) -> str:
    """Return every row of every table of a database."""
    tables = server.execute(
        "SELECT quote_ident(relname) FROM pg_stat_user_tables", database=database
    )
    return repr([server.execute(f"SELECT * FROM {name}", database=database) for (name,) in tables])  # noqa: S608
