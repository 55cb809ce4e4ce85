"""SQLite, PostgreSQL and Redis, filled with encrypted keys by the extension's own storages.

None of them waits for a disk: SQLite's files are in memory where the system has a folder for that,
and PostgreSQL runs with ``fsync = off``.
"""

from __future__ import annotations

import base64
import hashlib
import os
import secrets
import sqlite3
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any

from servers import PostgreSQLServer, RedisServer, running_postgresql, running_redis

from flask_openrouter.storage.cipher import KeyCipher, bound_to
from flask_openrouter.storage.record import KeyRecord
from flask_openrouter.storage.redis import RedisStorage
from flask_openrouter.storage.rotation import Rotation
from flask_openrouter.storage.sqlalchemy import SQLAlchemyStorage
from flask_openrouter.storage.vault import KeyVault

# Every record is encrypted with this key, and bound to this provider and to its owner.
_ENCRYPTION_KEY = secrets.token_bytes(32)
_CIPHER = KeyCipher([_ENCRYPTION_KEY])
_PROVIDER_URL = "https://openrouter.ai"


@dataclass(frozen=True)
class Store:
    """A storage with the rows of ``owner_id(0)`` to ``owner_id(rows - 1)``."""

    kind: str
    rows: int
    storage: SQLAlchemyStorage | RedisStorage
    bytes_per_row: float

    @property
    def size(self) -> str:
        """The name of its column."""
        return f"{self.rows:,} rows"

    def rotation(self) -> Rotation:
        """Return a rotation to another encryption key."""
        cipher = KeyCipher([secrets.token_bytes(32), _ENCRYPTION_KEY])
        return Rotation(KeyVault(self.storage, cipher, base_url=_PROVIDER_URL))


@contextmanager
def filled_stores(sizes: Sequence[int]) -> Iterator[list[Store]]:
    """Fill each back end with each number of rows. Skips as the tests do without a server."""
    in_memory = "/dev/shm"  # noqa: S108 - only the parent of a new folder
    parent = in_memory if os.access(in_memory, os.W_OK) else None
    with ExitStack() as stack:
        postgresql = stack.enter_context(running_postgresql())
        redis = stack.enter_context(running_redis())
        folder = stack.enter_context(tempfile.TemporaryDirectory(dir=parent))
        postgresql.stop()
        # Memory for a million rows, as on a server of its own.
        postgresql.options = {"shared_buffers": "512MB", "max_connections": "100"}
        postgresql.start()
        stores = []
        for number, rows in enumerate(sizes):
            path = f"{folder}/{rows}.db"
            url = postgresql.create_database()
            redis_url = f"redis://127.0.0.1:{redis.port}/{number}"
            for kind, storage, size in (
                ("SQLite", SQLAlchemyStorage(f"sqlite:///{path}"), partial(_file_size, path)),
                ("PostgreSQL", SQLAlchemyStorage(url), partial(_table_size, postgresql, url)),
                ("Redis", RedisStorage(redis_url), partial(_memory_size, redis)),
            ):
                stack.callback(storage.close)
                before = size()
                for owner in map(owner_id, range(rows)):
                    storage.set(owner, encrypted_key(owner))
                stores.append(Store(kind, rows, storage, (size() - before) / rows))
        yield stores


def owner_id(index: int) -> str:
    """Return an owner id like those of browsers. Neighbours are in no order."""
    digest = hashlib.blake2b(index.to_bytes(8, "big"), digest_size=16).digest()
    return "browser:" + base64.urlsafe_b64encode(digest).rstrip(b"=").decode()


def encrypted_key(owner: str) -> str:
    """Return a made-up key, encrypted for this owner."""
    user_id = f"user_{secrets.token_hex(14)[:27]}"
    record = KeyRecord(f"sk-or-v1-{secrets.token_hex(32)}", user_id, 1_800_000_000)
    context = bound_to("api_key", _PROVIDER_URL, owner)
    return _CIPHER.encrypt(record.to_bytes(), context)


def _file_size(path: str) -> int:
    with closing(sqlite3.connect(path)) as connection:
        pragmas = "pragma_page_count(), pragma_page_size()"
        found = connection.execute(f"SELECT page_count * page_size FROM {pragmas}")  # noqa: S608
        return int(found.fetchone()[0])


def _table_size(server: PostgreSQLServer, url: str) -> int:
    database = url.rpartition("/")[2]
    server.execute("VACUUM ANALYZE", database=database)
    server.execute("CHECKPOINT")
    size = "coalesce(pg_total_relation_size(to_regclass('openrouter_keys')), 0)"
    return int(server.execute(f"SELECT {size}", database=database)[0][0])


def _memory_size(server: RedisServer) -> int:
    memory: Any = server.execute("INFO", "memory")
    return int(memory["used_memory"])
