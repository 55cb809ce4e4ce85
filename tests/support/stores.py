"""A pytest plugin: every server for keys that docs/storage.md names, and storages on it.

A test asks for the fixture ``store``, and says which of ``STORES`` it wants.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from importlib.util import find_spec
from typing import Any, Final

import pytest
from components import require
from mariadb_server import MariaDBServer, running_mariadb
from postgresql_pair import PostgreSQLPair, running_postgresql_pair
from redis_groups import ClusterGroup, SentinelGroup, running_cluster, running_sentinel
from servers import PgBouncerServer, PostgreSQLServer, running_pgbouncer
from storage_worker import storage_at

from flask_openrouter.storage.redis import RedisStorage

#: Packages of drivers, with the name of the driver in a URL and that of the module.
DRIVERS: Final = {
    "psycopg": ("psycopg", "psycopg"),
    "psycopg2": ("psycopg2", "psycopg2"),
    "pg8000": ("pg8000", "pg8000"),
    "PyMySQL": ("pymysql", "pymysql"),
    "mysqlclient": ("mysqldb", "MySQLdb"),
}
#: The servers that docs/storage.md names, with their drivers.
STORES: Final = (
    *("PostgreSQL, psycopg", "Redis"),
    *("PostgreSQL, psycopg2", "PostgreSQL, pg8000"),
    "PostgreSQL behind PgBouncer",
    "PostgreSQL with a standby",
    *("MariaDB, PyMySQL", "MariaDB, mysqlclient"),
    *("Redis Sentinel", "Redis Cluster"),
)
#: The one with each kind of server that starts in a second. They are always tested.
QUICK: Final = ("PostgreSQL, psycopg", "MariaDB, PyMySQL", "Redis")


def each_of(*names: str) -> list[Any]:
    """Return parameters for the fixture ``store``: the quick ones, the rest in CI."""
    extra = pytest.mark.every_variant
    return [pytest.param(name, marks=() if name in QUICK else extra) for name in names]


class Store:
    """A server or a group of servers, and the storages on it.

    ``server``: has ``kill`` and ``start``. ``address``: what ``storage_at`` takes.
    """

    def __init__(self, server: Any, address: str) -> None:
        self.server = server
        self.address = address
        self._storages: list[Any] = []

    def create(self) -> Any:
        """Return a storage with connections of its own."""
        self._storages.append(storage_at(self.address))
        return self._storages[-1]

    @property
    def processes(self) -> list[Any]:
        """All servers."""
        return list(getattr(self.server, "processes", [self.server]))

    def close(self) -> None:
        """Close all connections."""
        for storage in self._storages:
            storage.close()
            if isinstance(storage, RedisStorage):
                # The storage leaves a client of the app open.
                storage._client.close()


@pytest.fixture
def make_store(request: pytest.FixtureRequest) -> Iterator[Callable[[str], Store]]:
    """Return one of ``STORES``, which runs and is empty."""
    stores: list[Store] = []

    def make(name: str) -> Store:
        kind, _, package = name.partition(", ")
        driver, module = DRIVERS.get(package, ("psycopg", "psycopg"))
        if find_spec(module) is None:
            require(package, "not installed (pip install --group test --group mysql)")
        server, address = _SERVERS[kind](request)
        scheme, _, rest = address.partition("://")
        if scheme in ("mysql", "postgresql"):
            address = f"{scheme}+{driver}://{rest}"
        stores.append(Store(server, address))
        return stores[-1]

    yield make
    for store in stores:
        store.close()
        # A test that failed may have killed it.
        store.server.start()


@pytest.fixture
def store(make_store: Callable[[str], Store], request: pytest.FixtureRequest) -> Store:
    """The one of ``STORES`` that the test names."""
    return make_store(request.param)


def _postgresql(request: pytest.FixtureRequest) -> tuple[Any, str]:
    server = request.getfixturevalue("postgresql")
    return server, _without_driver(server.create_database())


def _pgbouncer(request: pytest.FixtureRequest) -> tuple[Any, str]:
    server = request.getfixturevalue("_pgbouncer_of_stores")
    # So that it keeps no connections to the databases of earlier tests.
    server.kill()
    server.start()
    return server, _without_driver(server.through(_postgresql(request)[1]))


def _standby(request: pytest.FixtureRequest) -> tuple[Any, str]:
    pair = request.getfixturevalue("_postgresql_pair")
    return pair, _without_driver(pair.create_database())


def _mariadb(request: pytest.FixtureRequest) -> tuple[Any, str]:
    server = request.getfixturevalue("_mariadb_server")
    return server, server.create_database()


def _redis(request: pytest.FixtureRequest) -> tuple[Any, str]:
    server = request.getfixturevalue("redis_server")
    return server, server.url


def _sentinel(request: pytest.FixtureRequest) -> tuple[Any, str]:
    group = request.getfixturevalue("_sentinel_group")
    group.clear()
    return group, f"sentinel:{group.sentinel.port}"


def _cluster(request: pytest.FixtureRequest) -> tuple[Any, str]:
    group = request.getfixturevalue("_cluster_group")
    group.clear()
    return group, f"cluster:{group.processes[0].port}"


def _without_driver(url: str) -> str:
    return url.replace("+psycopg:", ":")


_SERVERS: Final = {
    "PostgreSQL": _postgresql,
    "PostgreSQL behind PgBouncer": _pgbouncer,
    "PostgreSQL with a standby": _standby,
    "MariaDB": _mariadb,
    "Redis": _redis,
    "Redis Sentinel": _sentinel,
    "Redis Cluster": _cluster,
}


@pytest.fixture(scope="session")
def _pgbouncer_of_stores(_running_postgresql: PostgreSQLServer) -> Iterator[PgBouncerServer]:
    with running_pgbouncer(_running_postgresql, pool_mode="transaction", size=2) as server:
        yield server


@pytest.fixture(scope="session")
def _mariadb_server() -> Iterator[MariaDBServer]:
    with running_mariadb() as server:
        yield server


@pytest.fixture(scope="session")
def _postgresql_pair() -> Iterator[PostgreSQLPair]:
    with running_postgresql_pair() as pair:
        yield pair


@pytest.fixture(scope="session")
def _sentinel_group() -> Iterator[SentinelGroup]:
    with running_sentinel() as group:
        yield group


@pytest.fixture(scope="session")
def _cluster_group() -> Iterator[ClusterGroup]:
    with running_cluster() as group:
        yield group
