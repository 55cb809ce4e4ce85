"""Every storage passes the contract of storages, on real servers."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import redis
from bare_storage import Bare
from servers import PgBouncerServer, RedisServer
from sqlalchemy import create_engine
from stores import STORES, Store, each_of

from flask_openrouter.storage import KeyStorage
from flask_openrouter.storage.memory import MemoryStorage
from flask_openrouter.storage.redis import RedisStorage
from flask_openrouter.storage.sqlalchemy import SQLAlchemyStorage
from flask_openrouter.testing import KeyStorageContract


class ClosingContract(KeyStorageContract):
    """The contract for storages that hold connections, with a second one over the same data."""

    create: Callable[[], SQLAlchemyStorage | RedisStorage]

    @pytest.fixture(autouse=True)
    def _close(self) -> Iterator[None]:
        self._opened: list[SQLAlchemyStorage | RedisStorage] = []
        yield
        for storage in self._opened:
            storage.close()

    def make_storage(self) -> KeyStorage:
        self._opened.append(self.create())
        return self._opened[-1]

    def make_second_storage(self) -> KeyStorage | None:
        return self.make_storage()


class TestMemory(KeyStorageContract):
    def make_storage(self) -> KeyStorage:
        return MemoryStorage()


class TestSQLiteFile(ClosingContract):
    @pytest.fixture(autouse=True)
    def _url(self, tmp_path: Path) -> None:
        self.create = lambda: SQLAlchemyStorage(f"sqlite:///{tmp_path}/keys.db")


class TestSQLiteInMemory(ClosingContract):
    def create(self) -> SQLAlchemyStorage:
        return SQLAlchemyStorage("sqlite:///:memory:")

    def make_second_storage(self) -> None:
        """Each storage has a database of its own."""


@pytest.mark.every_variant
class TestSQLiteEngineOfTheApp(ClosingContract):
    @pytest.fixture(autouse=True)
    def _engine(self, tmp_path: Path) -> Iterator[None]:
        engine = create_engine(f"sqlite:///{tmp_path}/app.db")
        self.create = lambda: SQLAlchemyStorage(lambda: engine)
        yield
        engine.dispose()


class TestDatabaseWithoutUpsert(ClosingContract):
    """An unknown dialect. UPDATE, then INSERT must do."""

    @pytest.fixture(autouse=True)
    def _engine(self, postgresql_url: str) -> Iterator[None]:
        engine = create_engine(postgresql_url, pool_size=10)
        engine.dialect.name = "unknown"
        self.create = lambda: SQLAlchemyStorage(engine)
        yield
        engine.dispose()


# test_sqlalchemy_pgbouncer.py has threads and processes of both modes.
@pytest.mark.every_variant
class TestPostgreSQLBehindPgBouncer(ClosingContract):
    @pytest.fixture(autouse=True)
    def _url(self, pgbouncer: PgBouncerServer, postgresql_url: str) -> None:
        self.create = lambda: SQLAlchemyStorage(pgbouncer.through(postgresql_url))


@pytest.mark.every_variant
class TestPostgreSQLEngineOfTheApp(ClosingContract):
    @pytest.fixture(autouse=True)
    def _engine(self, postgresql_url: str) -> Iterator[None]:
        engine = create_engine(postgresql_url)
        self.create = lambda: SQLAlchemyStorage(engine)
        yield
        engine.dispose()


# PgBouncer is above, in both modes.
@pytest.mark.parametrize(
    "store", each_of(*(name for name in STORES if "PgBouncer" not in name)), indirect=True
)
class TestServer(ClosingContract):
    @pytest.fixture(autouse=True)
    def _store(self, store: Store) -> None:
        self.create = store.create


@pytest.mark.parametrize(
    "decode_responses", [True, pytest.param(False, marks=pytest.mark.every_variant)]
)
class TestRedisClientOfTheApp(ClosingContract):
    @pytest.fixture(autouse=True)
    def _client(self, redis_server: RedisServer, decode_responses: bool) -> Iterator[None]:
        with redis.Redis(port=redis_server.port, decode_responses=decode_responses) as client:
            # A prefix that would be a pattern, were it not escaped.
            self.create = lambda: RedisStorage(client, prefix="[app]*?\\:")
            yield


class TestStorageOfAThirdParty(KeyStorageContract):
    def make_storage(self) -> KeyStorage:
        return Bare()
