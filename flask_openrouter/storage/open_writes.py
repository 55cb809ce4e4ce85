"""Writes of the app that are not committed yet, and lock the SQLite file of the keys meanwhile.

SQLite has one writer at a time. When a view has written a row and then stores or deletes a key, a
connection of our own would wait for the view, which waits for us. So the key goes through the
connection of the view. What the app rolls back is written once more afterwards, because a key is
stored or deleted whatever becomes of the view.
"""

from __future__ import annotations

import logging
import os
import threading
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final
from weakref import WeakKeyDictionary, WeakSet

from .sqlite import file_of, is_file

if TYPE_CHECKING:
    from sqlalchemy import Connection, Engine

logger: Final = logging.getLogger("flask_openrouter")


class _ThreadState(threading.local):
    def __init__(self) -> None:
        #: Connections to SQLite that have begun to work and may not have ended.
        self.begun: WeakSet[Connection] = WeakSet()
        #: What was written through each of them.
        self.writes: WeakKeyDictionary[Connection, list[Callable[[], object]]] = WeakKeyDictionary()
        #: What was undone, by the id of the driver's connection.
        self.undone: dict[int, list[Callable[[], object]]] = {}


_state: Final = _ThreadState()


def watch_connections() -> None:
    """Notice from now on which connections of this process have begun to work."""
    from sqlalchemy import Engine, event
    from sqlalchemy.pool import Pool

    if not event.contains(Engine, "begin", _begin):
        event.listen(Engine, "begin", _begin)
        event.listen(Engine, "commit", _keep)
        event.listen(Engine, "rollback", _undo)
        event.listen(Engine, "rollback_savepoint", _undo)
        event.listen(Pool, "checkin", _repeat)


def database_of(engine: Engine) -> object:
    """Return what identifies the SQLite database of this engine, or None for other databases."""
    from sqlalchemy.pool import StaticPool

    if is_file(engine.url):
        return os.path.realpath(file_of(engine.url))
    if engine.dialect.name == "sqlite" and isinstance(engine.pool, StaticPool):
        return engine.pool
    return None


def find_connection(database: object) -> Connection | None:
    """Return the connection of this thread that has uncommitted writes in this database."""
    for connection in [*_state.begun]:
        if connection.closed or connection.invalidated or not connection.in_transaction():
            _state.begun.discard(connection)
        elif _is_writing(connection) and database_of(connection.engine) == database:
            return connection
    return None


def repeat_if_undone(connection: Connection, write: Callable[[], object]) -> None:
    """Call ``write`` once more if the app undoes what was written through this connection."""
    _state.writes.setdefault(connection, []).append(write)


def _is_writing(connection: Connection) -> bool:
    # Unlike SQLAlchemy, the driver knows whether there is something to commit.
    return bool(getattr(connection.connection.dbapi_connection, "in_transaction", False))


def _begin(connection: Connection) -> None:
    if connection.dialect.name == "sqlite":
        _state.begun.add(connection)


def _keep(connection: Connection) -> None:
    _state.writes.pop(connection, None)


def _undo(connection: Connection, *_: Any) -> None:
    writes = _state.writes.pop(connection, None)
    if writes:
        key = id(connection.connection.dbapi_connection)
        _state.undone.setdefault(key, []).extend(writes)


def _repeat(dbapi_connection: object, _: object) -> None:
    # The app is done with its connection, so nothing is locked any more.
    for write in _state.undone.pop(id(dbapi_connection), ()):
        try:
            write()
        except Exception as exc:
            # Without the traceback, whose frames hold what was to be stored.
            logger.error(
                "A change to the stored keys was rolled back with the app's own, and could not be"
                " repeated (%s).",
                type(exc).__name__,
            )
