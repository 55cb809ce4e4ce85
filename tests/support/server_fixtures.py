"""Real servers for tests: one of each kind per process, started by the first test that needs it.

Each test gets an empty place on them: a new database in PostgreSQL, an emptied Redis.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from flask import Flask, request
from servers import (
    PgBouncerServer,
    PostgreSQLServer,
    RedisServer,
    running_pgbouncer,
    running_postgresql,
    running_redis,
)

#: Every kind of storage, and those that processes can share.
STORAGES = ("cookie", "memory", "sqlite", "postgresql", "redis")
SHARED_STORAGES = STORAGES[2:]


@pytest.fixture(scope="session")
def _running_postgresql() -> Iterator[PostgreSQLServer]:
    with running_postgresql(in_memory=True) as server:
        yield server


@pytest.fixture(scope="session")
def _running_redis() -> Iterator[RedisServer]:
    # It still has after a crash what it acknowledged before.
    with running_redis(appendonly="yes", appendfsync="always") as server:
        yield server


@pytest.fixture
def postgresql(_running_postgresql: PostgreSQLServer) -> PostgreSQLServer:
    """A PostgreSQL server that runs. A test may kill it. Other tests may have left data on it."""
    _running_postgresql.start()
    return _running_postgresql


@pytest.fixture
def postgresql_url(postgresql: PostgreSQLServer) -> str:
    """The SQLAlchemy URL of an empty PostgreSQL database."""
    return postgresql.create_database()


@pytest.fixture(params=[pytest.param("session", marks=pytest.mark.every_variant), "transaction"])
def pgbouncer(
    postgresql: PostgreSQLServer, request: pytest.FixtureRequest
) -> Iterator[PgBouncerServer]:
    """PgBouncer in front of the PostgreSQL server, in each mode that apps use.

    In transaction mode, which is the harder one, two connections to the server serve all clients.
    """
    size = 2 if request.param == "transaction" else 20
    with running_pgbouncer(postgresql, pool_mode=request.param, size=size) as server:
        yield server


@pytest.fixture
def redis_server(_running_redis: RedisServer) -> RedisServer:
    """An empty Redis server that runs. A test may kill it, fill it, or let it only read."""
    _running_redis.start()
    _running_redis.execute("REPLICAOF", "NO", "ONE")
    for setting in ("maxmemory", "min-replicas-to-write"):
        _running_redis.execute("CONFIG", "SET", setting, "0")
    _running_redis.execute("FLUSHALL")
    return _running_redis


@pytest.fixture
def storage_kind(request: pytest.FixtureRequest) -> str:
    """One of ``STORAGES``, or with ``--every-variant`` each of them."""
    return str(request.param)


@pytest.fixture
def stored_kind(request: pytest.FixtureRequest) -> str:
    """``cookie``, then one of the other ``STORAGES``, or with ``--every-variant`` each of them."""
    return str(request.param)


@pytest.fixture
def storage_uri(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """The URI of an empty storage: one of ``SHARED_STORAGES``, or each as above."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path}/keys.db"
    if request.param == "postgresql":
        return str(request.getfixturevalue("postgresql_url"))
    return str(request.getfixturevalue("redis_server").url)


@pytest.fixture
def make_shared_app(
    make_app: Callable[..., Flask], storage_uri: str
) -> Iterator[Callable[..., Flask]]:
    """Build apps over one storage; the header ``X-User`` names the signed-in user."""
    apps = []

    def make(**config: Any) -> Flask:
        app = make_app(OPENROUTER_STORAGE_URI=storage_uri, **config)
        app.extensions["openrouter"].app_functions.owner_loader = lambda: request.headers.get(
            "X-User"
        )
        apps.append(app)
        return app

    yield make
    for app in apps:
        app.extensions["openrouter"].vault.storage.close()


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Choose the storages of a test that does not name them itself."""
    named = {
        name
        for mark in metafunc.definition.iter_markers("parametrize")
        for name in (mark.args[0].split(", ") if isinstance(mark.args[0], str) else mark.args[0])
    }
    for fixture, always, kinds in (
        ("storage_kind", (), STORAGES),
        ("stored_kind", STORAGES[:1], STORAGES[1:]),
        ("storage_uri", (), SHARED_STORAGES),
    ):
        if fixture in metafunc.fixturenames and fixture not in named:
            if not metafunc.config.getoption("every_variant"):
                # The same in each process and run, and others for the next test.
                number = zlib.crc32(metafunc.function.__name__.encode())
                kinds = (kinds[number % len(kinds)],)
            metafunc.parametrize(fixture, (*always, *kinds), indirect=True)
