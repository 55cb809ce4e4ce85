"""The app's SQLite file, on which a view has changes that are not committed yet."""

from __future__ import annotations

import logging
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Engine, create_engine, event, text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.orm import Session
from sqlalchemy.pool import Pool, StaticPool

from flask_openrouter.storage import open_writes
from flask_openrouter.storage.sqlalchemy import SQLAlchemyStorage

#: Makes the app's engine, and the storage over the same database.
KINDS: dict[str, Any] = {
    "its engine": (None, lambda engine, _: SQLAlchemyStorage(engine)),
    "a function": (None, lambda engine, _: SQLAlchemyStorage(lambda: engine)),
    "the file by URL": (None, lambda _, path: SQLAlchemyStorage(f"sqlite:///{path}")),
    "a file: URI": (None, lambda _, path: SQLAlchemyStorage(f"sqlite:///file:{path}?uri=true")),
    "one connection": (StaticPool, lambda engine, _: SQLAlchemyStorage(lambda: engine)),
}


@pytest.fixture(params=KINDS)
def kind(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "app.db"


@pytest.fixture
def engine(kind: str, path: Path) -> Iterator[Engine]:
    """The app's engine, with a table of the app. A lock would be waited for a minute."""
    pool = KINDS[kind][0]
    url = "sqlite://" if pool is StaticPool else f"sqlite:///{path}"
    options = {"connect_args": {"timeout": 60}}
    engine = create_engine(url, poolclass=pool, **options)
    with engine.begin() as connection:
        connection.execute(text("CREATE TABLE note (words text)"))
    yield engine
    engine.dispose()


@pytest.fixture
def storage(kind: str, engine: Engine, path: Path) -> Iterator[SQLAlchemyStorage]:
    storage: SQLAlchemyStorage = KINDS[kind][1](engine, path)
    yield storage
    storage.close()


def add_note(session: Any) -> None:
    session.execute(text("INSERT INTO note VALUES ('of the app')"))


def count_notes(engine: Engine) -> Any:
    with engine.connect() as connection:
        return connection.execute(text("SELECT count(*) FROM note")).scalar()


@pytest.mark.requirement("W17")
def test_a_key_is_changed_in_the_middle_of_the_app_s_own_changes(
    engine: Engine, storage: SQLAlchemyStorage
) -> None:
    storage.set("rejected", "old")
    storage.set("re-encrypted", "old")
    with Session(engine) as session:
        add_note(session)
        storage.set("owner", "ciphertext")
        assert storage.get("owner") == "ciphertext"
        assert storage.delete_if("rejected", "old")
        assert storage.replace("re-encrypted", "old", "new")
        assert storage.add("claimed", "first")
        assert not storage.add("claimed", "second")
        session.commit()
        assert storage.get("owner") == "ciphertext"
    with Session(engine) as session:
        add_note(session)
        storage.delete("owner")
        assert storage.get("owner") is None
        session.commit()
    assert count_notes(engine) == 2
    assert {owner_id: storage.get(owner_id) for owner_id in storage.owner_ids()} == {
        "claimed": "first",
        "re-encrypted": "new",
    }


@pytest.mark.requirement("W17")
def test_the_table_is_made_in_the_middle_of_the_app_s_own_changes(
    engine: Engine, storage: SQLAlchemyStorage
) -> None:
    with Session(engine) as session:
        add_note(session)
        storage.set("owner", "ciphertext")
        session.rollback()
    assert storage.get("owner") == "ciphertext"
    assert count_notes(engine) == 0


@pytest.mark.requirement("W17")
@pytest.mark.parametrize("end", ["rollback", "close", "error"])
def test_what_the_app_rolls_back_does_not_bring_back_a_key_or_lose_one(
    engine: Engine, storage: SQLAlchemyStorage, end: str
) -> None:
    storage.set("disconnected", "ciphertext")
    session = Session(engine)
    try:
        with session.begin():
            add_note(session)
            storage.set("connected", "ciphertext")
            storage.delete("disconnected")
            if end == "error":
                raise OSError
            getattr(session, end)()
    except OSError:
        pass
    session.close()
    assert count_notes(engine) == 0
    assert storage.get("connected") == "ciphertext"
    assert storage.get("disconnected") is None


@pytest.mark.requirement("W17")
def test_a_savepoint_that_the_app_rolls_back_loses_no_key(
    engine: Engine, storage: SQLAlchemyStorage
) -> None:
    with Session(engine) as session:
        add_note(session)
        with session.begin_nested() as savepoint:
            storage.set("owner", "ciphertext")
            savepoint.rollback()
        session.commit()
    assert count_notes(engine) == 1
    assert storage.get("owner") == "ciphertext"


@pytest.mark.requirement("W17")
def test_a_view_that_has_only_read_is_left_alone(
    engine: Engine, storage: SQLAlchemyStorage
) -> None:
    with Session(engine) as session:
        assert session.execute(text("SELECT count(*) FROM note")).scalar() == 0
        storage.set("owner", "ciphertext")
        session.rollback()
    assert storage.get("owner") == "ciphertext"


def test_an_error_in_the_middle_of_the_app_s_own_changes_is_raised(tmp_path: Path) -> None:
    engine = create_engine(f"sqlite:///{tmp_path}/app.db")
    storage = SQLAlchemyStorage(engine)
    storage.create_table()
    with Session(engine) as session:
        session.execute(text("DELETE FROM openrouter_keys"))
        session.execute(text("ALTER TABLE openrouter_keys RENAME COLUMN ciphertext TO other"))
        with pytest.raises(DBAPIError, match="no such column"):
            storage.get("owner")
        session.rollback()
    assert storage.get("owner") is None
    engine.dispose()


def test_another_database_of_the_app_is_no_concern(tmp_path: Path) -> None:
    other = create_engine(f"sqlite:///{tmp_path}/other.db")
    storage = SQLAlchemyStorage(f"sqlite:///{tmp_path}/keys.db")
    with other.connect() as connection:
        connection.execute(text("CREATE TABLE note (words text)"))
        add_note(connection)
        storage.set("owner", "ciphertext")
        connection.rollback()
    assert storage.get("owner") == "ciphertext"
    assert count_notes(other) == 0
    storage.close()
    other.dispose()


def test_a_change_that_cannot_be_repeated_is_logged(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    engine = create_engine(f"sqlite:///{tmp_path}/app.db")
    storage = SQLAlchemyStorage(f"sqlite:///{tmp_path}/app.db?timeout=0.01")
    storage.create_table()
    rival = sqlite3.connect(tmp_path / "app.db", isolation_level=None)
    with closing(rival), Session(engine) as session:
        session.execute(text("DELETE FROM openrouter_keys"))
        storage.set("owner", "canary")
        session.connection().exec_driver_sql("ROLLBACK")
        rival.execute("BEGIN IMMEDIATE")
        with caplog.at_level(logging.ERROR):
            session.rollback()
    assert "could not be repeated (OperationalError)" in caplog.text
    assert "canary" not in caplog.text
    storage.close()
    engine.dispose()


FIRST_KEY = """
import sys
from sqlalchemy import create_engine, text
from flask_openrouter.storage.sqlalchemy import SQLAlchemyStorage

engine = create_engine(f"sqlite:///{sys.argv[1]}")
storage = SQLAlchemyStorage(engine)
with engine.begin() as connection:
    connection.execute(text("CREATE TABLE notes (words TEXT)"))
    connection.execute(text("INSERT INTO notes VALUES ('a row')"))
    storage.set("owner", "ciphertext")
print(storage.get("owner"))
engine.dispose()
"""


@pytest.mark.requirement("W17")
def test_the_first_key_of_a_process_may_come_in_the_middle_of_the_app_s_changes(
    tmp_path: Path,
) -> None:
    command = [sys.executable, "-c", FIRST_KEY, str(tmp_path / "app.db")]
    ran = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (ran.stdout, ran.stderr) == ("ciphertext\n", "")


def test_the_first_storage_of_a_process_watches_and_the_next_one_finds_it_done() -> None:
    listeners = [
        (Engine, "begin", open_writes._begin),
        (Engine, "commit", open_writes._keep),
        (Engine, "rollback", open_writes._undo),
        (Engine, "rollback_savepoint", open_writes._undo),
        (Pool, "checkin", open_writes._repeat),
    ]
    SQLAlchemyStorage("sqlite://").close()
    for listener in listeners:
        event.remove(*listener)
    for _ in range(2):
        SQLAlchemyStorage("sqlite://").close()
        assert all(event.contains(*listener) for listener in listeners)
