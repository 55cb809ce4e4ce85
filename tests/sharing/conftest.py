"""Stores that several apps and processes share, on real servers."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from flask import Flask, request
from servers import PostgreSQLServer, RedisServer, running_postgresql, running_redis

BACK_ENDS = ["sqlite", "postgresql", "redis"]


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
def postgresql(_postgresql: PostgreSQLServer) -> PostgreSQLServer:
    """A PostgreSQL server that runs; it may be killed. Data of other tests may be on it."""
    _postgresql.start()
    return _postgresql


@pytest.fixture
def redis_server(_redis: RedisServer) -> RedisServer:
    """An empty Redis server that runs; it may be killed."""
    _redis.start()
    _redis.execute("FLUSHALL")
    return _redis


@pytest.fixture(params=BACK_ENDS)
def uri(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """The URI of an empty store, of each kind in turn."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path}/keys.db"
    if request.param == "postgresql":
        return str(request.getfixturevalue("postgresql").create_database())
    return str(request.getfixturevalue("redis_server").url)


@pytest.fixture
def make_shared_app(make_app: Callable[..., Flask], uri: str) -> Iterator[Callable[..., Flask]]:
    """Build an app over the store of ``uri``; the header ``X-User`` names the signed-in user."""
    apps = []

    def make(**config: Any) -> Flask:
        app = make_app(OPENROUTER_STORAGE_URI=uri, **config)
        app.extensions["openrouter"].app_functions.owner_loader = lambda: request.headers.get(
            "X-User"
        )
        apps.append(app)
        return app

    yield make
    for app in apps:
        app.extensions["openrouter"].vault.storage.close()
