"""The engine that is made from a URL, and engines of the app that are refused."""

from __future__ import annotations

import sqlite3
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path

import pytest
from servers import PostgreSQLServer
from sqlalchemy import create_engine, make_url, text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.orm import Session, scoped_session, sessionmaker
from sqlalchemy.pool import StaticPool

from flask_openrouter.errors import ConfigurationError
from flask_openrouter.storage.engine import create_storage_engine
from flask_openrouter.storage.sqlalchemy import SQLAlchemyStorage


def test_postgresql_waits_are_bounded(postgresql_url: str) -> None:
    engine = create_storage_engine(make_url(postgresql_url))
    with engine.connect() as connection:
        assert connection.execute(text("SHOW statement_timeout")).scalar() == "5s"
        driver_connection = connection.connection.driver_connection
        assert driver_connection is not None
        parameters = driver_connection.info.get_parameters()
        assert driver_connection.prepare_threshold is None
    engine.dispose()
    assert parameters["connect_timeout"] == "5"
    assert parameters["tcp_user_timeout"] == "5000"


def test_what_the_url_sets_wins(postgresql_url: str) -> None:
    """A table that a migration locks blocks a visitor for as long as the operator allows."""
    url = f"{postgresql_url}?connect_timeout=3&options=-c%20statement_timeout%3D1500"
    storage = SQLAlchemyStorage(url)
    storage.create_table()
    migration = create_engine(postgresql_url)
    with migration.begin() as connection:
        connection.execute(text("LOCK TABLE openrouter_keys"))
        # Without a time limit this would wait for the lock for ever.
        with pytest.raises(DBAPIError, match="statement timeout"):
            storage.get("owner")
    assert storage.get("owner") is None
    storage.close()
    migration.dispose()
    engine = create_storage_engine(url)
    with engine.connect() as connection:
        assert connection.execute(text("SHOW statement_timeout")).scalar() == "1500ms"
        driver_connection = connection.connection.driver_connection
        assert driver_connection is not None
        assert driver_connection.info.get_parameters()["connect_timeout"] == "3"
    engine.dispose()


def test_time_limit_holds_whatever_other_options_the_url_sets(postgresql_url: str) -> None:
    engine = create_storage_engine(f"{postgresql_url}?options=-c%20work_mem%3D1MB")
    with engine.connect() as connection:
        assert connection.execute(text("SHOW work_mem")).scalar() == "1MB"
        assert connection.execute(text("SHOW statement_timeout")).scalar() == "5s"
    engine.dispose()


def test_statements_are_prepared_if_the_url_says_so(postgresql_url: str) -> None:
    engine = create_storage_engine(f"{postgresql_url}?prepare_threshold=7")
    with engine.connect() as connection:
        driver_connection = connection.connection.driver_connection
        assert driver_connection is not None
        assert driver_connection.prepare_threshold == 7
    engine.dispose()


@pytest.mark.parametrize(
    "url", ["sqlite://", "sqlite:///:memory:", "sqlite:///file:keys?mode=memory&uri=true"]
)
def test_database_in_memory_is_one_for_all_threads(url: str) -> None:
    storage = SQLAlchemyStorage(url)
    storage.set("owner", "ciphertext")
    with ThreadPoolExecutor(8) as pool:
        found = set(pool.map(storage.get, ["owner"] * 64))
    storage.close()
    assert found == {"ciphertext"}
    assert storage.get("owner") is None, "closed, it is gone"
    storage.close()


def test_sqlite_readers_do_not_wait_for_writers(tmp_path: Path) -> None:
    engine = create_storage_engine(f"sqlite:///{tmp_path}/keys.db")
    with engine.connect() as connection:
        assert connection.execute(text("PRAGMA journal_mode")).scalar() == "wal"
        assert connection.execute(text("PRAGMA busy_timeout")).scalar() == 5000
    engine.dispose()


def test_sqlite_file_that_is_busy_at_first_is_read_and_gets_its_log_later(tmp_path: Path) -> None:
    """SQLite refuses to change the journal at once, without waiting, when another is at it."""
    with closing(sqlite3.connect(tmp_path / "keys.db", isolation_level=None)) as other:
        other.execute("CREATE TABLE theirs (x)")
        other.execute("BEGIN IMMEDIATE")
        for journal in ("delete", "wal"):
            engine = create_storage_engine(f"sqlite:///{tmp_path}/keys.db")
            with engine.connect() as connection:
                assert connection.execute(text("SELECT count(*) FROM theirs")).scalar() == 0
                assert connection.execute(text("PRAGMA journal_mode")).scalar() == journal
            engine.dispose()
            if other.in_transaction:
                other.execute("COMMIT")


def test_connections_are_bounded_under_many_threads(
    postgresql: PostgreSQLServer, postgresql_url: str
) -> None:
    storage = SQLAlchemyStorage(postgresql_url)
    storage.create_table()
    with ThreadPoolExecutor(64) as pool:
        assert set(pool.map(storage.get, ["owner"] * 500)) == {None}
    used = postgresql.execute(
        "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database()"
        " AND pid <> pg_backend_pid()",
        database=postgresql_url.rpartition("/")[2],
    )
    storage.close()
    assert 1 <= used[0][0] <= 10


def test_engine_with_one_shared_connection_is_refused() -> None:
    """Autocommit on the app's one connection would commit the app's open transaction."""
    shared = create_engine("postgresql+psycopg://", poolclass=StaticPool)
    with pytest.raises(ConfigurationError, match="shares one connection"):
        SQLAlchemyStorage(shared)
    storage = SQLAlchemyStorage(lambda: create_engine("sqlite://"))
    with pytest.raises(ConfigurationError, match="memory://"):
        storage.get("owner")


def test_what_is_no_engine_is_refused(tmp_path: Path) -> None:
    engine = create_engine(f"sqlite:///{tmp_path}/app.db")
    with Session(engine) as session, pytest.raises(ConfigurationError, match="got Session"):
        SQLAlchemyStorage(session)  # type: ignore[arg-type]
    storage = SQLAlchemyStorage(scoped_session(sessionmaker(engine)))  # type: ignore[arg-type]
    with pytest.raises(ConfigurationError, match="got Session"):
        storage.get("owner")


def test_asynchronous_engine_is_refused() -> None:
    class AsynchronousDialect(type(create_engine("sqlite://").dialect)):  # type: ignore[misc]
        is_async = True
        driver = "aiosomething"

    engine = create_engine("sqlite://")
    engine.dialect = AsynchronousDialect()
    with pytest.raises(ConfigurationError, match="'aiosomething' is asynchronous"):
        SQLAlchemyStorage(engine)


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        (
            "postgresql+psycopg://u:CANARY@h:5/db?connect_timeout=2",
            "postgresql+psycopg://u:***@h:5/db",
        ),
        ("postgresql+psycopg://h/db?user=u&password=CANARY", "postgresql+psycopg://h/db"),
        ("postgresql+psycopg://u:CAN@CANARY@h/db", "postgresql+psycopg://u:***@h/db"),
        ("sqlite:///file:/a?uri=true&password=CANARY", "sqlite:///file%3A/a"),
        ("sqlite://", "sqlite://"),
    ],
)
def test_the_place_of_the_keys_is_shown_without_passwords(url: str, shown: str) -> None:
    """Commands print it."""
    assert SQLAlchemyStorage(url).location == f"the table openrouter_keys of {shown}"
