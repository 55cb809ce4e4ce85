"""Databases that are down, full, locked or read-only: an error, and nothing is lost.

The errors are the drivers' own. What was stored is still there, and the same storage object works
again when the fault is over.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from importlib.util import find_spec
from pathlib import Path

import pytest
import redis
from components import require
from polling import wait_until
from servers import PostgreSQLServer, RedisServer
from small_disk import small_disk
from sqlalchemy import create_engine, event, text
from sqlalchemy.exc import DBAPIError, OperationalError
from wire import counting_proxy

from flask_openrouter.storage import KeyStorage
from flask_openrouter.storage.drivers import replace_read_only_connections
from flask_openrouter.storage.redis import RedisStorage
from flask_openrouter.storage.sqlalchemy import SQLAlchemyStorage


@pytest.fixture
def sqlite_storage(tmp_path: Path) -> Iterator[SQLAlchemyStorage]:
    storage = SQLAlchemyStorage(f"sqlite:///{tmp_path}/keys.db?timeout=0.1")
    storage.set("old", "ciphertext")
    yield storage
    storage.close()


@pytest.fixture
def full_soon(tmp_path: Path) -> Iterator[Path]:
    """A folder on a file system of 256 KiB."""
    with small_disk(tmp_path / "disk") as folder:
        yield folder


@pytest.fixture
def postgresql_storage(postgresql_url: str) -> Iterator[SQLAlchemyStorage]:
    storage = SQLAlchemyStorage(postgresql_url)
    storage.set("old", "ciphertext")
    yield storage
    storage.close()


def assert_works(storage: KeyStorage) -> None:
    assert storage.get("old") == "ciphertext"
    storage.set("new", "other")
    assert storage.get("new") == "other"
    storage.delete("new")
    assert storage.get("new") is None


def fill(storage: KeyStorage, stored: list[str]) -> None:
    """Store until it fails, noting what was stored."""
    for number in range(100):
        storage.set(f"owner {number}", "x" * 8000)
        stored.append(f"owner {number}")


def test_sqlite_locked_by_another_program(
    sqlite_storage: SQLAlchemyStorage, tmp_path: Path
) -> None:
    with closing(sqlite3.connect(tmp_path / "keys.db", isolation_level=None)) as other:
        other.execute("BEGIN EXCLUSIVE")
        for write in (lambda: sqlite_storage.set("old", "x"), lambda: sqlite_storage.delete("old")):
            with pytest.raises(OperationalError, match="locked"):
                write()
        assert sqlite_storage.get("old") == "ciphertext", "readers need not wait"
        other.execute("ROLLBACK")
    assert_works(sqlite_storage)


def test_sqlite_on_a_full_disk_keeps_what_it_has(full_soon: Path) -> None:
    """No half row: an entry is as it was before, or whole."""
    url = f"sqlite:///{full_soon}/keys.db"
    storage = SQLAlchemyStorage(url)
    storage.set("old", "ciphertext")
    filler = full_soon / "filler"
    with pytest.raises(OSError, match="No space left"):
        filler.write_bytes(b"x" * 256 * 1024)
    stored: list[str] = []
    with pytest.raises(OperationalError, match=r"full|disk I/O error"):
        fill(storage, stored)
    assert storage.get("old") == "ciphertext"
    filler.unlink()
    second = SQLAlchemyStorage(url)
    assert set(second.owner_ids()) == {"old", *stored}
    second.close()
    assert_works(storage)
    storage.close()


def test_sqlite_file_that_is_no_database(tmp_path: Path) -> None:
    (tmp_path / "keys.db").write_bytes(b"not a database, but long enough to look at" * 100)
    storage = SQLAlchemyStorage(f"sqlite:///{tmp_path}/keys.db")
    with pytest.raises(DBAPIError, match="not a database"):
        storage.get("old")
    storage.close()


def test_postgresql_killed_and_started_again(
    postgresql: PostgreSQLServer, postgresql_storage: SQLAlchemyStorage
) -> None:
    postgresql.kill()
    for use in (postgresql_storage.get, postgresql_storage.delete):
        with pytest.raises(OperationalError):
            use("old")
    with pytest.raises(OperationalError):
        postgresql_storage.set("old", "other")
    postgresql.start()
    assert_works(postgresql_storage)


def test_postgresql_restart_between_two_visitors_is_not_noticed(
    postgresql: PostgreSQLServer, postgresql_storage: SQLAlchemyStorage
) -> None:
    """The pooled connection is dead, and the storage finds out by itself."""
    for end in (postgresql.kill, postgresql.stop):
        end()
        postgresql.start()
        assert postgresql_storage.get("old") == "ciphertext"
        end()
        postgresql.start()
        assert_works(postgresql_storage)


def test_postgresql_connection_ended_by_an_administrator_is_not_noticed(
    postgresql: PostgreSQLServer, postgresql_storage: SQLAlchemyStorage
) -> None:
    for _ in range(3):
        postgresql.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
            " WHERE backend_type = 'client backend' AND pid <> pg_backend_pid()"
        )
        postgresql_storage.set("old", "ciphertext")
        assert_works(postgresql_storage)


@pytest.mark.requirement("S4")
def test_postgresql_that_is_read_only(
    postgresql: PostgreSQLServer, postgresql_url: str, postgresql_storage: SQLAlchemyStorage
) -> None:
    """As a standby is, on which a fail-over has left the app. No connection to it is kept."""
    database = postgresql_url.rpartition("/")[2]
    postgresql.execute(f"ALTER DATABASE {database} SET default_transaction_read_only = on")
    postgresql_storage.close()
    with pytest.raises(DBAPIError, match="read-only"):
        postgresql_storage.set("old", "other")
    with pytest.raises(DBAPIError, match="read-only"):
        postgresql_storage.delete("old")
    assert postgresql_storage.get("old") == "ciphertext"
    postgresql.execute(f"ALTER DATABASE {database} RESET default_transaction_read_only")
    assert_works(postgresql_storage)


@pytest.mark.requirement("S4")
@pytest.mark.parametrize("driver", ["psycopg", "psycopg2", "pg8000"])
@pytest.mark.parametrize("is_own", [True, False])
def test_a_connection_to_a_former_primary_is_replaced_at_once(
    driver: str, is_own: bool, postgresql_url: str
) -> None:
    """The address leads to the new primary already, and the pool to the old one."""
    if find_spec(driver) is None:
        require(driver, "not installed")
    url = postgresql_url.replace("+psycopg:", f"+{driver}:")
    engine = create_engine(url, pool_size=1, max_overflow=0)
    storage = SQLAlchemyStorage(url if is_own else engine)
    storage.set("old", "ciphertext")
    for use in (lambda: storage.set("old", "ciphertext"), lambda: storage.delete("new")):
        with storage._load_engine().connect() as connection:
            connection.exec_driver_sql("SET default_transaction_read_only = on")
            connection.commit()
        use()
    assert_works(storage)
    storage.close()
    engine.dispose()


@pytest.mark.requirement("S4")
@pytest.mark.parametrize(
    ("dialect", "error", "is_end"),
    [
        ("mysql", Exception(1290, "--read-only"), True),
        ("mariadb", Exception(1836, "read only mode"), True),
        ("mysql", Exception(1062, "duplicate"), False),
        ("mysql", Exception(), False),
        ("sqlite", Exception(1290), False),
        ("postgresql", Exception({"C": "25006"}), True),
        ("postgresql", Exception({"C": "23505"}), False),
    ],
)
def test_errors_of_read_only_servers_are_known(
    dialect: str, error: Exception, is_end: bool
) -> None:
    """Of drivers and servers that are not among the programs for tests."""
    engine = create_engine("sqlite://")
    replace_read_only_connections(engine)
    engine.dialect.name = dialect

    @event.listens_for(engine, "before_cursor_execute")
    def fail(*_: object) -> None:
        raise error

    contexts = []
    event.listen(engine, "handle_error", contexts.append)
    with engine.connect() as connection, pytest.raises(type(error)):
        connection.execute(text("SELECT 1"))
    assert [context.is_disconnect for context in contexts] == [is_end]


def test_postgresql_at_its_connection_limit(
    postgresql: PostgreSQLServer, postgresql_url: str, postgresql_storage: SQLAlchemyStorage
) -> None:
    address, _, database = postgresql_url.partition("@")[2].partition("/")
    role = f"limited_{database}"
    postgresql.execute(f"CREATE ROLE {role} LOGIN PASSWORD 'limited' CONNECTION LIMIT 1")
    postgresql.execute(f"GRANT ALL ON openrouter_keys TO {role}", database=database)
    url = f"postgresql+psycopg://{role}:limited@{address}/{database}"
    first, second = SQLAlchemyStorage(url), SQLAlchemyStorage(url)
    assert_works(first)
    with pytest.raises(OperationalError, match="too many connections") as failure:
        second.get("old")
    assert "limited@" not in str(failure.value)
    first.close()
    # The server counts a connection for a moment after it was closed.
    connections = f"SELECT 1 FROM pg_stat_activity WHERE usename = '{role}'"  # noqa: S608
    wait_until(lambda: not postgresql.execute(connections))
    assert_works(second)
    second.close()


def test_postgresql_error_shows_no_password(postgresql: PostgreSQLServer) -> None:
    storage = SQLAlchemyStorage(postgresql.url.replace("tester:", "tester:CANARY"))
    with pytest.raises(OperationalError, match="authentication failed") as failure:
        storage.get("old")
    assert "CANARY" not in str(failure.value)


def test_connection_cut_in_mid_statement_is_opened_once_more(
    postgresql: PostgreSQLServer, postgresql_url: str, redis_server: RedisServer
) -> None:
    """Not for ever: a server that cuts every connection is down."""
    with counting_proxy(postgresql.port) as database, counting_proxy(redis_server.port) as cache:
        by_proxy = postgresql_url.replace(str(postgresql.port), str(database.port))
        sql_storage = SQLAlchemyStorage(by_proxy)
        redis_storage = RedisStorage(f"redis://127.0.0.1:{cache.port}")
        for storage, proxy in ((sql_storage, database), (redis_storage, cache)):
            storage.set("old", "first")
            proxy.cuts = 1
            storage.set("old", "ciphertext")
            proxy.cuts = 1
            assert_works(storage)
            proxy.cuts = 100
            with pytest.raises((OperationalError, redis.ConnectionError)):
                storage.get("old")
            proxy.cuts = 0
            assert_works(storage)
            storage.close()
