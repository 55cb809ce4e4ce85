"""How to use SQLite with several workers and threads.

Plain ``sqlite3`` keeps the SQL visible. In WAL mode readers never wait, and writers wait for each
other for a few milliseconds.
"""

from __future__ import annotations

import os
import sqlite3
import threading
import time
import weakref
from collections import deque
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from flask import Flask, current_app, g

#: How long a writer waits for another, in seconds.
PATIENCE = 10.0
#: The number of idle connections that stay open.
MAX_IDLE = 8
#: Of the tables. Another number refuses files with other tables.
VERSION = 2
#: Threads take turns here. SQLite lets them all try again and again, until one of many gives up.
_one_writer = threading.Lock()


def connect(path: str) -> sqlite3.Connection:
    """Open the file. Outside of :func:`transaction` each statement is its own transaction."""
    db = sqlite3.connect(path, timeout=PATIENCE, isolation_level=None, check_same_thread=False)
    try:
        db.row_factory = sqlite3.Row
        db.execute("PRAGMA foreign_keys = ON")
        db.execute("PRAGMA synchronous = NORMAL")
        # 256 KiB per connection. The operating system caches the file for all of them.
        db.execute("PRAGMA cache_size = -256")
        # Deleted data is overwritten, not only unlinked.
        db.execute("PRAGMA secure_delete = ON")
    except sqlite3.Error:
        db.close()
        raise
    return db


@contextmanager
def opened(path: str) -> Iterator[sqlite3.Connection]:
    """Open the file for a block, and close it."""
    db = connect(path)
    try:
        yield db
    finally:
        db.close()


class Pool:
    """A pool of connections to one file. Each is used by one thread at a time; there is no limit.

    Opening a connection costs little, but closing the last one writes the whole log back into the
    file, which is too slow for each request. The pool is empty until the first request, so workers
    do not inherit connections.
    """

    def __init__(self, path: str) -> None:
        self._path = path
        self._idle: deque[sqlite3.Connection] = deque()
        weakref.finalize(self, _close_all, self._idle)

    @contextmanager
    def connection(self) -> Iterator[sqlite3.Connection]:
        """Lend a connection to a block."""
        try:
            db = self._idle.pop()
        except IndexError:
            db = connect(self._path)
        try:
            yield db
        finally:
            if len(self._idle) < MAX_IDLE:
                self._idle.append(db)
            else:
                db.close()


def get_pool() -> Pool:
    """Return the app's pool, for work after the request, such as a streamed answer."""
    pool: Pool = current_app.extensions["chat_database"]
    return pool


def get_database() -> sqlite3.Connection:
    """Return this request's connection."""
    if "database" not in g:
        g.database_lent = ExitStack()
        g.database = g.database_lent.enter_context(get_pool().connection())
    database: sqlite3.Connection = g.database
    return database


@contextmanager
def transaction(db: sqlite3.Connection) -> Iterator[None]:
    """Run a block as one transaction. ``IMMEDIATE``: waits for other writers here, not midway."""
    with _one_writer:
        db.execute("BEGIN IMMEDIATE")
        try:
            yield
        except BaseException:
            db.execute("ROLLBACK")
            raise
        db.execute("COMMIT")


def erase_log(db: sqlite3.Connection) -> None:
    """Empty the write-ahead log, in which deleted data can still be read."""
    db.execute("PRAGMA wal_checkpoint(TRUNCATE)")


def init_app(app: Flask) -> None:
    """Create the file if it is missing, with access for this user only, and its tables."""
    path = Path(app.config["CHAT_DATABASE"])
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    os.close(os.open(path, os.O_CREAT | os.O_RDWR, 0o600))
    with opened(str(path)) as db:
        _use_wal(db)
        _make_tables(db, path)
    app.extensions["chat_database"] = Pool(str(path))
    app.teardown_appcontext(_give_back)


def _use_wal(db: sqlite3.Connection) -> None:
    # Unlike other statements, this one does not wait while another worker runs the same.
    deadline = time.monotonic() + PATIENCE
    while True:
        try:
            db.execute("PRAGMA journal_mode = WAL")
            return
        except sqlite3.OperationalError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.05)


def _make_tables(db: sqlite3.Connection, path: Path) -> None:
    # In this order, because another worker may do the same.
    has_tables = db.execute("SELECT 1 FROM sqlite_master").fetchone()
    if has_tables and db.execute("PRAGMA user_version").fetchone()[0] != VERSION:
        raise RuntimeError(f"{path} was made by another version of this app. Move it away.")
    db.execute(f"PRAGMA user_version = {VERSION}")
    db.executescript((Path(__file__).parent / "schema.sql").read_text(encoding="utf-8"))


def _give_back(_: BaseException | None) -> None:
    lent: ExitStack | None = g.pop("database_lent", None)
    if lent is not None:
        g.pop("database", None)
        lent.close()


def _close_all(connections: deque[sqlite3.Connection]) -> None:
    while connections:
        connections.pop().close()
