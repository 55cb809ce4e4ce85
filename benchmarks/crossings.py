"""How many statements each call of a storage is, and how often it waits for its server.

Seen from outside: by SQLite's own trace, PostgreSQL's log, Redis's statistics, and a proxy.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from typing import Any

from servers import PostgreSQLServer, RedisServer
from wire import counting_proxy

from flask_openrouter.storage import KeyStorage

from .filling import owner_id
from .report import Goal, Row
from .stores import Store, close

#: The driver of PostgreSQL prepares a statement at its sixth use, which is one more message.
_WARM_UP = 7
#: What a client of ours sends to set up, or to ask for the statistics.
_NOT_COUNTED = {"hello", "info", "select", "config|resetstat", "client|setinfo"}

Counter = Callable[[], int]


def measure(stores: Sequence[Store]) -> list[Row]:
    """Count for the smallest store of each back end."""
    rows = []
    for kind in dict.fromkeys(store.kind for store in stores):
        store = min((s for s in stores if s.kind == kind), key=lambda store: store.rows)
        storage = store.open()
        with _statements(store, storage) as count:
            rows.append(_row(f"{kind}: statements of one call", storage, count))
        close(storage)
        if store.server is not None:
            with counting_proxy(store.server.port) as proxy:
                storage = store.open(port=proxy.port)
                count = partial(getattr, proxy, "round_trips")
                rows.append(_row(f"{kind}: round trips of one call", storage, count))
                close(storage)
    return rows


def _row(what: str, storage: KeyStorage, count: Counter) -> Row:
    owner, new = owner_id(0), owner_id(-1 % 2**63)
    ciphertext = storage.get(owner) or ""
    calls: dict[str, Callable[[], object]] = {
        "lookup": lambda: storage.get(owner),
        "set": lambda: storage.set(new, ciphertext),
        "delete": lambda: storage.delete(new),
    }
    for _ in range(_WARM_UP):
        for call in calls.values():
            call()
    samples = {name: [float(_change(call, count))] for name, call in calls.items()}
    return Row(what, "", samples, goal=Goal(most=1, of="value", column="lookup"))


def _change(call: Callable[[], object], count: Counter) -> int:
    before = count()
    call()
    return count() - before


@contextmanager
def _statements(store: Store, storage: KeyStorage) -> Iterator[Counter]:
    server = store.server
    if isinstance(server, PostgreSQLServer):
        database = store.uri.rpartition("/")[2]
        server.execute(f"ALTER DATABASE {database} SET log_statement = 'all'")
        yield lambda: server.log.count("LOG:  statement:") + server.log.count("LOG:  execute ")
        server.execute(f"ALTER DATABASE {database} RESET log_statement")
    elif isinstance(server, RedisServer):
        server.execute("CONFIG", "RESETSTAT")
        yield lambda: _commands(server)
    else:
        with _traced() as statements:
            yield lambda: len(statements)


def _commands(server: RedisServer) -> int:
    statistics: Any = server.execute("INFO", "commandstats")
    return sum(
        entry["calls"]
        for name, entry in statistics.items()
        if name.removeprefix("cmdstat_") not in _NOT_COUNTED
    )


@contextmanager
def _traced() -> Iterator[list[str]]:
    """Collect every statement that SQLite runs on connections opened meanwhile."""
    from sqlalchemy import Engine, event

    statements: list[str] = []

    def trace(connection: sqlite3.Connection, _: object) -> None:
        connection.set_trace_callback(statements.append)

    event.listen(Engine, "connect", trace)
    try:
        yield statements
    finally:
        event.remove(Engine, "connect", trace)
