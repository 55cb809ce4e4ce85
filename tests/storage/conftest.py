"""Servers for the tests of back ends: started once, with an empty place for each test."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from servers import (
    PgBouncerServer,
    PostgreSQLServer,
    RedisServer,
    running_pgbouncer,
    running_postgresql,
    running_redis,
)


@pytest.fixture(scope="session")
def _postgresql() -> Iterator[PostgreSQLServer]:
    with running_postgresql() as server:
        yield server


@pytest.fixture(scope="session")
def _redis() -> Iterator[RedisServer]:
    with running_redis() as server:
        yield server


@pytest.fixture
def postgresql(_postgresql: PostgreSQLServer) -> PostgreSQLServer:
    """A PostgreSQL server that runs; it may be killed. Data of other tests may be on it."""
    _postgresql.start()
    return _postgresql


@pytest.fixture
def postgresql_url(postgresql: PostgreSQLServer) -> str:
    """The SQLAlchemy URL of an empty PostgreSQL database."""
    return postgresql.create_database()


@pytest.fixture(params=["session", "transaction"])
def pgbouncer(
    postgresql: PostgreSQLServer, request: pytest.FixtureRequest
) -> Iterator[PgBouncerServer]:
    """PgBouncer in front of the PostgreSQL server, in each of its modes that apps use.

    In transaction mode two connections to the server serve all clients, so they are mixed at once.
    """
    size = 2 if request.param == "transaction" else 20
    with running_pgbouncer(postgresql, pool_mode=request.param, size=size) as server:
        yield server


@pytest.fixture
def redis_server(_redis: RedisServer) -> RedisServer:
    """An empty Redis server that runs; it may be killed."""
    _redis.start()
    _redis.execute("FLUSHALL")
    return _redis
