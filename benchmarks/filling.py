"""Rows for storages, as many as wanted: real ciphertexts of made-up keys, loaded in bulk."""

from __future__ import annotations

import base64
import hashlib
import secrets
import socket
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from datetime import datetime, timezone
from itertools import islice
from pathlib import Path
from typing import Final

import psycopg

from flask_openrouter.storage.cipher import KeyCipher, bound_to
from flask_openrouter.storage.record import KeyRecord
from flask_openrouter.storage.redis import RedisStorage
from flask_openrouter.storage.sqlalchemy import SQLAlchemyStorage

#: With which the rows are encrypted, as ``OPENROUTER_ENCRYPTION_KEY`` has it.
ENCRYPTION_KEY: Final = base64.urlsafe_b64encode(secrets.token_bytes(32)).decode()
BASE_URL: Final = "https://openrouter.ai"
_COLUMNS: Final = "owner_id, ciphertext, created_at, updated_at"
#: Commands that Redis is sent before its answers are read.
_PIPELINE: Final = 5000


def owner_id(index: int) -> str:
    """Return an owner as browsers are, each index another, in no order."""
    digest = hashlib.blake2b(index.to_bytes(8, "big"), digest_size=16).digest()
    return "browser:" + base64.urlsafe_b64encode(digest).rstrip(b"=").decode()


def ciphertexts(count: int) -> Iterator[tuple[str, str]]:
    """Yield so many owners, each with a ciphertext that opens for them."""
    cipher = KeyCipher([base64.urlsafe_b64decode(ENCRYPTION_KEY)])
    plaintexts = [_record().to_bytes() for _ in range(min(count, 1000))]
    for index in range(count):
        owner = owner_id(index)
        context = bound_to("api_key", BASE_URL, owner)
        yield owner, cipher.encrypt(plaintexts[index % len(plaintexts)], context)


def fill_sqlite(uri: str, count: int) -> float:
    """Make the table and its rows; return the bytes that a row takes."""
    _create_table(uri)
    path = Path(uri.removeprefix("sqlite:///"))
    now = str(datetime.now(timezone.utc).replace(tzinfo=None))
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("PRAGMA synchronous = OFF")
        connection.executemany(
            f"INSERT INTO openrouter_keys ({_COLUMNS}) VALUES (?, ?, ?, ?)",  # noqa: S608
            ((owner, ciphertext, now, now) for owner, ciphertext in ciphertexts(count)),
        )
        connection.commit()
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    return path.stat().st_size / count


def fill_postgresql(uri: str, count: int, *, partitions: int = 0) -> float:
    """Make the table and its rows; return the bytes that a row takes.

    ``partitions``: how many parts the table has, by a hash of the owner; 0 for a plain table.
    """
    with psycopg.connect(uri.replace("+psycopg", "", 1), autocommit=True) as connection:
        _create_table(uri)
        if partitions:
            _partition(connection, partitions)
        now = datetime.now(timezone.utc)
        with connection.cursor().copy(f"COPY openrouter_keys ({_COLUMNS}) FROM STDIN") as copy:
            for owner, ciphertext in ciphertexts(count):
                copy.write_row((owner, ciphertext, now, now))
        connection.execute("VACUUM ANALYZE openrouter_keys")
        size = connection.execute(
            "SELECT sum(pg_total_relation_size(oid)) FROM pg_class"
            " WHERE relname ~ '^openrouter_keys(_[0-9]+)?$'"
        ).fetchone()
    assert size is not None
    return float(size[0]) / count


def fill_redis(uri: str, count: int) -> float:
    """Make the entries; return the bytes of memory that one takes."""
    storage = RedisStorage(uri)
    before = storage._client.info("memory")["used_memory"]
    port, database = uri.rpartition(":")[2].split("/")
    rows = ciphertexts(count)
    max_age = str(storage._max_age).encode()
    with socket.create_connection(("127.0.0.1", int(port))) as connection:
        answers = connection.makefile("rb")
        connection.sendall(_command(b"SELECT", database.encode()))
        answers.readline()
        while batch := list(islice(rows, _PIPELINE)):
            connection.sendall(
                b"".join(
                    _command(
                        b"SET", storage._key(owner).encode(), ciphertext.encode(), b"EX", max_age
                    )
                    for owner, ciphertext in batch
                )
            )
            for _ in batch:
                assert answers.readline() == b"+OK\r\n"
        answers.close()
    after = storage._client.info("memory")["used_memory"]
    storage.close()
    return float(after - before) / count


def _record() -> KeyRecord:
    user_id = "user_" + secrets.token_urlsafe(21)[:27]
    return KeyRecord("sk-or-v1-" + secrets.token_hex(32), user_id, 1_800_000_000)


def _create_table(uri: str) -> None:
    storage = SQLAlchemyStorage(uri)
    storage.create_table()
    storage.close()


def _partition(connection: psycopg.Connection, partitions: int) -> None:
    """Put a partitioned table in the place of the plain one, with its columns and key."""
    connection.execute("ALTER TABLE openrouter_keys RENAME TO plain")
    connection.execute(
        "CREATE TABLE openrouter_keys (LIKE plain INCLUDING DEFAULTS, PRIMARY KEY (owner_id))"
        " PARTITION BY HASH (owner_id)"
    )
    connection.execute("DROP TABLE plain")
    for remainder in range(partitions):
        connection.execute(
            f"CREATE TABLE openrouter_keys_{remainder} PARTITION OF openrouter_keys"
            f" FOR VALUES WITH (MODULUS {partitions}, REMAINDER {remainder})"
        )


def _command(*words: bytes) -> bytes:
    parts = [b"*%d\r\n" % len(words)]
    for word in words:
        parts.append(b"$%d\r\n%s\r\n" % (len(word), word))
    return b"".join(parts)
