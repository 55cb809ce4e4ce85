"""How to use SQLite with several workers and threads, in plain SQL.

In WAL mode readers never wait, and writers wait for each other for a few milliseconds.
"""

import os
import sqlite3
import threading
import weakref
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from flask import Flask, current_app, g

#: How long a writer waits for another, in seconds.
PATIENCE = 10.0
#: Of the tables. Another number refuses files with other tables.
VERSION = 3
#: Threads take turns here. SQLite lets them all try again and again, until one of many gives up.
_one_writer = threading.Lock()


def connect(path: str) -> sqlite3.Connection:
    """Open the file. Outside of :func:`transaction` each statement is its own transaction."""
    db = sqlite3.connect(path, timeout=PATIENCE, isolation_level=None, check_same_thread=False)
    db.row_factory = sqlite3.Row
    db.execute("PRAGMA synchronous = NORMAL")
    # Deleted data is overwritten, not only unlinked.
    db.execute("PRAGMA secure_delete = ON")
    return db


def opened(path: str) -> closing[sqlite3.Connection]:
    """Open the file for a ``with`` block."""
    return closing(connect(path))


def get_database() -> sqlite3.Connection:
    """Return this request's connection."""
    if "database" not in g:
        path = current_app.config["CHAT_DATABASE"]
        if "chat_database" not in current_app.extensions:
            # Stays open, because closing the last one writes the log into the file, which is slow.
            kept = current_app.extensions["chat_database"] = connect(path)
            weakref.finalize(current_app._get_current_object(), kept.close)  # type: ignore[attr-defined]
        g.database = connect(path)
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


def init_app(app: Flask) -> None:
    """Create the file if it is missing, with access for this user only, and its tables."""
    path = Path(app.config["CHAT_DATABASE"])
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    os.close(os.open(path, os.O_CREAT | os.O_RDWR, 0o600))
    with opened(str(path)) as db:
        has_tables = db.execute("SELECT 1 FROM sqlite_master").fetchone()
        if has_tables and db.execute("PRAGMA user_version").fetchone()[0] != VERSION:
            raise RuntimeError(f"{path} was made by another version of this app. Move it away.")
        db.execute(f"PRAGMA user_version = {VERSION}")
        db.executescript((Path(__file__).parent / "schema.sql").read_text(encoding="utf-8"))
    app.teardown_appcontext(_close)


def _close(_: BaseException | None) -> None:
    if "database" in g:
        g.pop("database").close()
