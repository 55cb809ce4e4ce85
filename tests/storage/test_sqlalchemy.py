"""SQLAlchemyStorage beyond the contract: statements, transactions, tables, listings."""

from __future__ import annotations

import logging
import sqlite3
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest
from servers import PostgreSQLServer
from sqlalchemy import Engine, create_engine, event, text
from sqlalchemy.dialects import mssql, mysql, postgresql
from sqlalchemy.exc import DBAPIError
from sqlalchemy.orm import Session
from sqlalchemy.schema import CreateTable
from wire import counting_proxy

from flask_openrouter.storage.engine import create_storage_engine
from flask_openrouter.storage.key_table import PAGE, STEP, create_upsert
from flask_openrouter.storage.sqlalchemy import SQLAlchemyStorage


@pytest.fixture
def sqlite_url(tmp_path: Path) -> str:
    return f"sqlite:///{tmp_path}/keys.db"


@pytest.fixture
def engine(postgresql_url: str) -> Iterator[Engine]:
    """The app's engine. With one connection, what we leave behind on it is seen at once."""
    engine = create_engine(postgresql_url, pool_size=1, max_overflow=1)
    yield engine
    engine.dispose()


def use(storage: SQLAlchemyStorage) -> None:
    storage.set("owner", "ciphertext")
    assert storage.get("owner") == "ciphertext"
    storage.delete("owner")


@pytest.mark.requirement("R96")
def test_each_operation_is_one_statement_for_sqlite(sqlite_url: str) -> None:
    statements: list[str] = []

    def trace(connection: sqlite3.Connection, _: object) -> None:
        connection.set_trace_callback(statements.append)

    storage = SQLAlchemyStorage(sqlite_url)
    storage.create_table()
    storage.close()
    event.listen(Engine, "connect", trace)
    try:
        use(storage)
        statements.clear()
        use(storage)
    finally:
        event.remove(Engine, "connect", trace)
    storage.close()
    assert [statement.split()[0] for statement in statements] == ["INSERT", "SELECT", "DELETE"]


@pytest.mark.requirement("R96")
@pytest.mark.parametrize("is_own", [True, False], ids=["own engine", "engine of the app"])
def test_each_operation_is_one_statement_for_postgresql(
    postgresql: PostgreSQLServer, postgresql_url: str, is_own: bool
) -> None:
    """No BEGIN, no ROLLBACK, no ping: what the server's own log shows."""
    database = postgresql_url.rpartition("/")[2]
    postgresql.execute(f"ALTER DATABASE {database} SET log_statement = 'all'")
    engine = create_engine(postgresql_url)
    storage = SQLAlchemyStorage(postgresql_url if is_own else engine)
    use(storage)
    logged = len(postgresql.log)
    use(storage)
    lines = postgresql.log[logged:].splitlines()
    storage.close()
    engine.dispose()
    statements = [line.split(": ", 2)[2].split()[0] for line in lines if "LOG:" in line]
    assert statements == ["INSERT", "SELECT", "DELETE"]


def test_each_operation_is_one_round_trip(
    postgresql: PostgreSQLServer, postgresql_url: str
) -> None:
    with counting_proxy(postgresql.port) as proxy:
        storage = SQLAlchemyStorage(postgresql_url.replace(str(postgresql.port), str(proxy.port)))
        use(storage)
        before = proxy.round_trips
        use(storage)
        after = proxy.round_trips
        storage.close()
    assert after - before == 3


@pytest.mark.requirement("R96")
def test_transaction_of_the_app_is_neither_ended_nor_joined(engine: Engine) -> None:
    """The app rolls back: its row goes, the key stays. And the other way round."""
    storage = SQLAlchemyStorage(lambda: engine)
    with engine.begin() as connection:
        connection.execute(text("CREATE TABLE note (words text)"))
    with Session(engine) as session:
        session.execute(text("INSERT INTO note VALUES ('of the app')"))
        storage.set("owner", "ciphertext")
        assert storage.get("owner") == "ciphertext"
        session.rollback()
        assert session.execute(text("SELECT count(*) FROM note")).scalar() == 0
        session.execute(text("INSERT INTO note VALUES ('again')"))
        storage.delete("owner")
        session.commit()
    with Session(engine) as session:
        assert session.execute(text("SELECT count(*) FROM note")).scalar() == 1
    assert storage.get("owner") is None


def test_connections_go_back_to_the_app_as_they_were(engine: Engine) -> None:
    """A connection left in autocommit would commit what the app rolls back."""
    use(SQLAlchemyStorage(engine))
    with engine.connect() as connection:
        connection.execute(text("CREATE TABLE note (words text)"))
        connection.rollback()
        assert connection.execute(text("SELECT to_regclass('note')")).scalar() is None


@pytest.mark.requirement("R96")
def test_failure_of_ours_leaves_the_transaction_of_the_app_usable(engine: Engine) -> None:
    storage = SQLAlchemyStorage(engine)
    storage.create_table()
    with Session(engine) as session:
        session.execute(text("CREATE TABLE note (words text)"))
        with pytest.raises(DBAPIError):
            storage.set("owner", "a NUL \0, which PostgreSQL refuses")
        session.commit()
        assert session.execute(text("SELECT count(*) FROM note")).scalar() == 0


def test_ciphertexts_stay_out_of_logs_and_errors(
    engine: Engine, caplog: pytest.LogCaptureFixture
) -> None:
    """Even when the app's engine echoes: its parameters may be secrets with encrypt=False."""
    caplog.set_level(logging.DEBUG, logger="sqlalchemy.engine")
    storage = SQLAlchemyStorage(engine)
    storage.set("owner", "CANARY")
    with pytest.raises(DBAPIError) as failure:
        storage.set("owner", "CANARY\0")
    assert "INSERT" in caplog.text
    assert "CANARY" not in caplog.text
    assert "CANARY" not in str(failure.value)
    assert not engine.hide_parameters, "the app's own statements are its own business"


def test_table_is_created_by_many_at_once(sqlite_url: str, postgresql_url: str) -> None:
    for url in (sqlite_url, postgresql_url):
        storages = [SQLAlchemyStorage(url) for _ in range(8)]
        barrier = threading.Barrier(len(storages))

        def create(storage: SQLAlchemyStorage, barrier: threading.Barrier = barrier) -> None:
            barrier.wait()
            storage.create_table()

        with ThreadPoolExecutor(len(storages)) as pool:
            list(pool.map(create, storages))
        for storage in storages:
            storage.create_table()
            use(storage)
            storage.close()


def test_table_that_was_dropped_is_created_again(engine: Engine) -> None:
    storage = SQLAlchemyStorage(engine)
    use(storage)
    with engine.begin() as connection:
        connection.execute(text("DROP TABLE openrouter_keys"))
    with pytest.raises(DBAPIError):
        storage.get("owner")
    use(storage)


def test_account_that_may_not_create_tables_says_so_and_works_with_one(
    postgresql: PostgreSQLServer, postgresql_url: str
) -> None:
    database = postgresql_url.rpartition("/")[2]
    role = f"writer_{database}"
    postgresql.execute(f"CREATE ROLE {role} LOGIN PASSWORD 'writer'")
    address = f"127.0.0.1:{postgresql.port}/{database}"
    storage = SQLAlchemyStorage(f"postgresql+psycopg://{role}:writer@{address}")
    with pytest.raises(DBAPIError, match="permission denied for schema public"):
        storage.get("owner")
    owner = SQLAlchemyStorage(postgresql_url)
    owner.create_table()
    owner.close()
    postgresql.execute(f"GRANT ALL ON openrouter_keys TO {role}", database=database)
    use(storage)
    storage.close()


def test_two_tables_keep_two_apps_apart(sqlite_url: str) -> None:
    first = SQLAlchemyStorage(sqlite_url)
    second = SQLAlchemyStorage(sqlite_url, table_name="other_keys")
    first.set("owner", "of the first")
    assert second.get("owner") is None
    second.set("owner", "of the second")
    assert first.get("owner") == "of the first"
    first.close()
    second.close()


def test_one_storage_follows_the_engine_of_the_current_app(tmp_path: Path) -> None:
    """Flask-SQLAlchemy's db.engine is another one in another app."""
    engines = [create_engine(f"sqlite:///{tmp_path}/{name}.db") for name in "ab"]
    current = engines[0]
    storage = SQLAlchemyStorage(lambda: current)
    storage.set("owner", "of the first")
    current = engines[1]
    assert storage.get("owner") is None
    current = engines[0]
    assert storage.get("owner") == "of the first"
    for engine in engines:
        engine.dispose()


def test_close_leaves_the_engine_of_the_app_open(engine: Engine) -> None:
    storage = SQLAlchemyStorage(engine)
    use(storage)
    pool = engine.pool
    storage.close()
    assert engine.pool is pool
    use(storage)


def test_rows_say_when_they_were_made_and_changed(engine: Engine) -> None:
    storage = SQLAlchemyStorage(engine)
    times = []
    for ciphertext in ("first", "second"):
        storage.set("owner", ciphertext)
        with engine.connect() as connection:
            row = connection.execute(text("SELECT created_at, updated_at FROM openrouter_keys"))
            times.append(row.one())
    (created, updated), (created_again, updated_again) = times
    assert created == updated == created_again < updated_again
    assert datetime.now(timezone.utc) - updated_again < timedelta(minutes=1)


@pytest.mark.requirement("R96")
def test_injected_sql_is_only_an_owner(engine: Engine) -> None:
    storage = SQLAlchemyStorage(engine)
    storage.set("victim", "ciphertext")
    for owner_id in ("' OR 1=1 --", "'; DELETE FROM openrouter_keys; --", "victim' --", "%"):
        assert storage.get(owner_id) is None
        storage.delete(owner_id)
        storage.set(owner_id, "'); DROP TABLE openrouter_keys; --")
    assert storage.get("victim") == "ciphertext"
    assert storage.count_owners() == 5


def test_listing_reads_in_pages_and_resumes_exactly() -> None:
    storage = SQLAlchemyStorage("sqlite://")
    owner_ids = sorted(f"{'aA'[number % 2]}{number:04}" for number in range(2 * PAGE))
    for owner_id in owner_ids:
        storage.set(owner_id, "ciphertext")
    assert list(storage.owner_ids()) == owner_ids
    assert list(storage.owner_ids(after=owner_ids[700])) == owner_ids[701:]
    assert storage.count_owners() == len(owner_ids)
    storage.close()


@pytest.mark.parametrize("rows", [0, STEP - 1, STEP, STEP + 1, 2 * STEP])
def test_owners_are_counted_in_steps(rows: int) -> None:
    """One statement over all rows of a big table would meet the time limit."""
    engine = create_storage_engine("sqlite://")
    storage = SQLAlchemyStorage(lambda: engine)
    now = datetime.now(timezone.utc)
    with engine.begin() as connection:
        storage.table.create(connection)
        values = {"ciphertext": "ciphertext", "created_at": now, "updated_at": now}
        for start in range(0, rows, STEP):
            owners = range(start, min(start + STEP, rows))
            batch = [{"owner_id": f"{owner}", **values} for owner in owners]
            connection.execute(storage.table.insert(), batch)
    assert storage.count_owners() == rows
    engine.dispose()


def test_owners_are_compared_byte_by_byte_in_every_dialect() -> None:
    """MySQL and SQL Server take "a" for "A" and "a " otherwise."""
    table = SQLAlchemyStorage("sqlite://").table
    columns = {
        dialect.name: str(CreateTable(table).compile(dialect=dialect)).split("\n")[2].split(",")[0]
        for dialect in (mysql.dialect(), mssql.dialect(), postgresql.dialect())
    }
    assert columns == {
        "mysql": "\towner_id VARBINARY(1020) NOT NULL",
        "mssql": "\towner_id VARBINARY(1020) NOT NULL",
        "postgresql": '\towner_id VARCHAR(255) COLLATE "C" NOT NULL',
    }


@pytest.mark.parametrize("name", ["mysql", "mariadb"])
def test_mysql_has_an_atomic_upsert_too(name: str) -> None:
    statement = create_upsert(SQLAlchemyStorage("sqlite://").table, name)
    assert statement is not None
    sql = " ".join(str(statement.compile(dialect=mysql.dialect())).split())
    assert "ON DUPLICATE KEY UPDATE ciphertext = VALUES(ciphertext), updated_at =" in sql


def test_database_without_upsert_leaves_the_later_entry_of_two(sqlite_url: str) -> None:
    """Another worker inserts the owner between our UPDATE and our INSERT."""
    engine = create_engine(sqlite_url)
    engine.dialect.name = "unknown"
    storage, rival = SQLAlchemyStorage(engine), SQLAlchemyStorage(sqlite_url)
    storage.create_table()
    statements: list[str] = []

    @event.listens_for(engine, "before_cursor_execute")
    def overtake(*details: Any) -> None:
        statements.append(details[2].split()[0])
        if statements == ["UPDATE", "INSERT"]:
            rival.set("owner", "of the rival")

    storage.set("owner", "ciphertext")
    assert statements == ["UPDATE", "INSERT", "UPDATE"]
    assert rival.get("owner") == "ciphertext"
    assert rival.count_owners() == 1
    rival.close()
    engine.dispose()


def test_mysql_gets_owners_as_bytes_and_returns_them_as_text(sqlite_url: str) -> None:
    """No MySQL server here: SQLite keeps bytes as well, under MySQL's name."""
    engine = create_engine(sqlite_url)
    engine.dialect.name = "mssql"
    storage = SQLAlchemyStorage(engine)
    storage.set("ö", "ciphertext")
    assert storage.get("ö") == "ciphertext"
    assert list(storage.owner_ids()) == ["ö"]
    with engine.connect() as connection:
        assert (
            connection.execute(text("SELECT owner_id FROM openrouter_keys")).scalar() == b"\xc3\xb6"
        )
    engine.dispose()
