"""Everything that a fault needs: real storages, an OpenRouter that fails, and a bench."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import pytest
from faults.bench import Bench
from faults.reach import reach
from faults.stores import Store
from servers import PostgreSQLServer, RedisServer, running_postgresql, running_redis


@pytest.fixture(scope="session")
def _postgresql() -> Iterator[PostgreSQLServer]:
    with running_postgresql() as server:
        yield server


@pytest.fixture(scope="session")
def _redis() -> Iterator[RedisServer]:
    # What it acknowledged, it still has after a crash.
    with running_redis(appendonly="yes", appendfsync="always") as server:
        yield server


@pytest.fixture
def make_store(request: pytest.FixtureRequest, tmp_path: Path) -> Callable[[str], Store]:
    """Return an empty store of this kind."""

    def make(kind: str) -> Store:
        folder = tmp_path / "store"
        folder.mkdir()
        uri, server = None, None
        if kind == "memory":
            uri = "memory://"
        elif kind == "sqlite":
            uri = f"sqlite:///{folder}/keys.db"
        elif kind == "postgresql":
            server = request.getfixturevalue("_postgresql")
            server.start()
            uri = server.create_database()
        elif kind == "redis":
            server = request.getfixturevalue("_redis")
            server.start()
            server.execute("FLUSHALL")
            uri = server.url
        return Store(kind, uri, server, folder)

    return make


@pytest.fixture
def open_bench(
    make_store: Callable[[str], Store],
    make_app: Any,
    clock: Any,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    tmp_path: Path,
) -> Callable[..., Any]:
    """Open a bench over one kind of storage, with one way to OpenRouter."""

    @contextmanager
    def open_one(kind: str, upstream_kind: str = "http") -> Iterator[Bench]:
        for name in ("", "sqlalchemy"):
            # SQLAlchemy says nothing of statements and rows unless it is asked itself.
            caplog.set_level(logging.DEBUG, name)
        with ExitStack() as stack:
            store = make_store(kind)
            stack.callback(store.close)
            upstream = reach(upstream_kind, tmp_path, monkeypatch)
            stack.callback(upstream.stop)
            upstream.start()
            bench = Bench(store, upstream, make_app, clock, monkeypatch, caplog, tmp_path)
            stack.callback(bench.cleanup.close)
            yield bench

    return open_one
