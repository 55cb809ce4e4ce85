"""The table of keys: its name and schema, and one that is part of the app's own metadata."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from servers import PostgreSQLServer
from sqlalchemy import Column, Engine, Integer, MetaData, Table, create_engine, inspect, text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.orm import Session

from flask_openrouter.errors import ConfigurationError, KeyStorageError
from flask_openrouter.storage.cipher import KeyCipher
from flask_openrouter.storage.listing import Listing
from flask_openrouter.storage.sqlalchemy import SQLAlchemyStorage
from flask_openrouter.storage.vault import KeyVault


@dataclass
class Database:
    """What Flask-SQLAlchemy's ``db`` has, for machines that lack Flask-SQLAlchemy."""

    engine: Engine
    metadata: MetaData


@pytest.fixture
def db(tmp_path: Path) -> Iterator[Database]:
    engine = create_engine(f"sqlite:///{tmp_path}/app.db")
    yield Database(engine, MetaData())
    engine.dispose()


@pytest.mark.requirement("W14")
def test_the_table_is_part_of_the_app_s_metadata_and_made_with_it_only(db: Database) -> None:
    storage = SQLAlchemyStorage(db)
    assert [*db.metadata.tables] == ["openrouter_keys"]
    remedy = (
        "^The table 'openrouter_keys' does not exist. It is part of the app's db: make it with"
        r" flask db migrate and flask db upgrade, or with db.create_all\(\).$"
    )
    calls: list[Any] = [
        lambda: storage.get("owner"),
        lambda: storage.set("owner", "ciphertext"),
        lambda: storage.delete("owner"),
        lambda: next(storage.owner_ids()),
        storage.count_owners,
    ]
    for call in calls:
        with pytest.raises(ConfigurationError, match=remedy):
            call()
    assert inspect(db.engine).get_table_names() == []
    db.metadata.create_all(db.engine)
    storage.set("owner", "ciphertext")
    assert storage.get("owner") == "ciphertext"


@pytest.mark.requirement("W14")
def test_a_missing_table_is_named_in_the_middle_of_the_app_s_changes(db: Database) -> None:
    storage = SQLAlchemyStorage(db)
    with Session(db.engine) as session:
        session.execute(text("CREATE TABLE note (words text)"))
        session.execute(text("INSERT INTO note VALUES ('x')"))
        with pytest.raises(ConfigurationError, match="flask db upgrade"):
            storage.delete("owner")


@pytest.mark.requirement("W14")
def test_a_missing_table_is_named_by_a_listing(db: Database) -> None:
    vault = KeyVault(SQLAlchemyStorage(db), KeyCipher([b"x" * 32]), base_url="https://x.example")
    with pytest.raises(KeyStorageError, match=r"^Listing the owners failed: .* flask db upgrade"):
        Listing(vault).count_owners()


@pytest.mark.requirement("W14")
def test_a_second_storage_on_the_same_metadata_shares_the_table(db: Database) -> None:
    first, second = SQLAlchemyStorage(db), SQLAlchemyStorage(db)
    other = SQLAlchemyStorage(db, table_name="shop_keys")
    assert first.table is second.table
    assert sorted(db.metadata.tables) == ["openrouter_keys", "shop_keys"]
    db.metadata.create_all(db.engine)
    first.set("owner", "ciphertext")
    assert second.get("owner") == "ciphertext"
    assert other.get("owner") is None


@pytest.mark.requirement("W14")
def test_a_table_of_the_app_with_that_name_is_refused(db: Database) -> None:
    Table("openrouter_keys", db.metadata, Column("id", Integer, primary_key=True))
    with pytest.raises(ConfigurationError, match="has a table 'openrouter_keys' of its own"):
        SQLAlchemyStorage(db)


@pytest.mark.requirement("W14")
def test_other_failures_are_not_taken_for_a_missing_table(
    db: Database, postgresql: PostgreSQLServer, postgresql_url: str, tmp_path: Path
) -> None:
    db.metadata.create_all(db.engine)
    SQLAlchemyStorage(db)
    db.metadata.create_all(db.engine)
    with closing(sqlite3.connect(tmp_path / "app.db", isolation_level=None)) as rival:
        engine = create_engine(f"sqlite:///{tmp_path}/app.db?timeout=0.01")
        rival.execute("BEGIN IMMEDIATE")
        with pytest.raises(DBAPIError, match="locked"):
            SQLAlchemyStorage(Database(engine, db.metadata)).set("owner", "ciphertext")
        engine.dispose()
    (tmp_path / "folder").mkdir()
    engine = create_engine(f"sqlite:///{tmp_path}/folder")
    with pytest.raises(DBAPIError, match="unable to open"):
        SQLAlchemyStorage(Database(engine, MetaData())).get("owner")


@pytest.mark.requirement("S9")
def test_the_table_is_made_in_the_schema_that_is_named(
    postgresql: PostgreSQLServer, postgresql_url: str
) -> None:
    name = postgresql_url.rpartition("/")[2]
    postgresql.execute("CREATE SCHEMA keys", database=name)
    storage = SQLAlchemyStorage(postgresql_url, schema="keys")
    storage.set("owner", "ciphertext")
    assert storage.get("owner") == "ciphertext"
    assert "keys.openrouter_keys" in storage.location
    storage.close()
    rows = postgresql.execute("SELECT owner_id FROM keys.openrouter_keys", database=name)
    assert rows == [("owner",)]


@pytest.mark.requirement("S9")
def test_the_schema_of_the_app_s_metadata_is_taken() -> None:
    metadata = MetaData(schema="shop")
    engine = create_engine("postgresql+psycopg://")
    first, second = (SQLAlchemyStorage(Database(engine, metadata)) for _ in range(2))
    assert first.table is second.table
    assert first.table.fullname == "shop.openrouter_keys"


@pytest.mark.requirement("S9")
def test_a_name_with_a_dot_is_refused_and_the_schema_is_named() -> None:
    with pytest.raises(ConfigurationError, match=r"has a dot. .* schema='keys'"):
        SQLAlchemyStorage("sqlite://", table_name="keys.x")


@pytest.mark.requirement("W16")
def test_the_reason_of_a_storage_that_cannot_be_used_is_passed_on() -> None:
    """It was hidden behind the name of its class, and the doctor asked to start a server."""
    storage = SQLAlchemyStorage(lambda: create_engine("sqlite://"))
    vault = KeyVault(storage, KeyCipher([b"x" * 32]), base_url="https://openrouter.ai")
    with pytest.raises(KeyStorageError) as raised:
        vault.load("owner")
    assert str(raised.value).startswith(
        "Reading the key failed: the storage raised ConfigurationError. This engine shares one"
        " connection (SingletonThreadPool)"
    )
