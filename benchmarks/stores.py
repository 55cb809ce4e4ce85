"""SQLite, PostgreSQL and Redis with rows in them, each size in a place of its own.

None of them waits for the disk, whose speed is no concern of ours: SQLite's files are in memory
where the system has a place for that, and PostgreSQL runs with ``fsync = off``.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final, TypeVar

import pytest
from servers import PostgreSQLServer, Server, running_postgresql, running_redis

from flask_openrouter.storage import KeyStorage
from flask_openrouter.storage.uri import storage_from_uri

from .filling import fill_postgresql, fill_redis, fill_sqlite
from .report import SkippedError

ServerT = TypeVar("ServerT", bound=Server)

SQLITE: Final = "SQLite"
POSTGRESQL: Final = "PostgreSQL"
REDIS: Final = "Redis"
#: Parts of the partitioned table.
PARTITIONS: Final = 16
PARTITIONED: Final = f"PostgreSQL, {PARTITIONS} partitions"

# Room for a million rows, as a server of its own would have it.
_POSTGRESQL: Final = {"shared_buffers": "512MB", "max_connections": "100"}
#: Seconds that Redis keeps an entry: the default of the extension.
MAX_AGE: Final = 31 * 24 * 3600


@dataclass(frozen=True)
class Store:
    """One back end with so many rows. The owners are ``filling.owner_id(0)`` to ``(rows - 1)``."""

    kind: str
    rows: int
    uri: str
    bytes_per_row: float
    server: Server | None = None

    @property
    def name(self) -> str:
        """The back end and its size."""
        return f"{self.kind}, {self.size}"

    @property
    def size(self) -> str:
        """The name of its column."""
        return f"{self.rows:,} rows"

    def open(self, *, port: int | None = None) -> KeyStorage:
        """Return a storage on it, as the setting would make it. ``port``: of a proxy before it."""
        uri = self.uri
        if port is not None and self.server is not None:
            uri = uri.replace(f":{self.server.port}/", f":{port}/")
        return storage_from_uri(uri, max_age=MAX_AGE)


@contextmanager
def opened(stores: Sequence[Store]) -> Iterator[list[KeyStorage]]:
    """Open a storage on each store, and close them afterwards."""
    storages = [store.open() for store in stores]
    try:
        yield storages
    finally:
        for storage in storages:
            close(storage)


def close(storage: KeyStorage) -> None:
    """Close the connections of a storage that has some."""
    getattr(storage, "close", lambda: None)()


@contextmanager
def filled_stores(
    sizes: Sequence[int], say: Callable[[str], None], *, partitioned: bool
) -> Iterator[list[Store]]:
    """Fill all three back ends with each number of rows.

    ``partitioned``: PostgreSQL with the largest number once more, in partitions.

    Raises :class:`SkippedError` when a server is missing.
    """
    with ExitStack() as stack:
        postgresql = stack.enter_context(or_skip(running_postgresql))
        redis = stack.enter_context(or_skip(running_redis))
        _give_memory(postgresql)
        in_memory = tempfile.TemporaryDirectory(prefix="openrouter-", dir=_folder_in_memory())
        folder = Path(stack.enter_context(in_memory))
        stores = []
        for number, rows in enumerate(sizes):
            say(f"filling {rows:,} rows")
            uri = f"sqlite:///{folder}/{rows}.db"
            stores.append(Store(SQLITE, rows, uri, fill_sqlite(uri, rows)))
            uri = postgresql.create_database()
            size = fill_postgresql(uri, rows)
            stores.append(Store(POSTGRESQL, rows, uri, size, postgresql))
            uri = f"redis://127.0.0.1:{redis.port}/{number}"
            stores.append(Store(REDIS, rows, uri, fill_redis(uri, rows), redis))
        if partitioned:
            uri = postgresql.create_database()
            size = fill_postgresql(uri, max(sizes), partitions=PARTITIONS)
            stores.append(Store(PARTITIONED, max(sizes), uri, size, postgresql))
        postgresql.execute("CHECKPOINT")
        yield stores


@contextmanager
def or_skip(running: Callable[[], AbstractContextManager[ServerT]]) -> Iterator[ServerT]:
    """Start a server of the tests. Raises :class:`SkippedError` where they would skip."""
    with ExitStack() as stack:
        missing = ""
        try:
            server = stack.enter_context(running())
        except pytest.skip.Exception as error:
            missing = str(error)
        if missing:
            raise SkippedError(missing)
        yield server


def _give_memory(server: PostgreSQLServer) -> None:
    server.stop()
    server.options = dict(_POSTGRESQL)
    server.start()


def _folder_in_memory() -> Path | None:
    folder = Path("/dev/shm")  # noqa: S108 - only the parent of a new folder
    return folder if os.access(folder, os.W_OK) else None
