"""The table of keys, and the one statement that inserts a row or replaces it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from .owner_id import MAX_LENGTH

if TYPE_CHECKING:
    from sqlalchemy import Insert, Table

#: Their text collations ignore case, or trailing spaces, or both. Bytes are compared as they are.
BYTES_DIALECTS: Final = ("mysql", "mariadb", "mssql")


def create_table(table_name: str) -> Table:
    """Return the table of keys, which nothing has been done with yet."""
    from sqlalchemy import VARBINARY, Column, DateTime, MetaData, String, Table, Text

    # "C" compares bytes: always exact, and its order outlives upgrades of the operating system.
    owner_type = (
        String(MAX_LENGTH)
        .with_variant(String(MAX_LENGTH, collation="C"), "postgresql")
        .with_variant(VARBINARY(MAX_LENGTH * 4), *BYTES_DIALECTS)
    )
    return Table(
        table_name,
        MetaData(),
        Column("owner_id", owner_type, primary_key=True),
        Column("ciphertext", Text, nullable=False),
        Column("created_at", DateTime(timezone=True), nullable=False),
        Column("updated_at", DateTime(timezone=True), nullable=False),
    )


def create_upsert(table: Table, dialect_name: str) -> Insert | None:
    """Return INSERT ... ON CONFLICT in this dialect, or None if it has none that we know."""
    from sqlalchemy.dialects import mysql, postgresql, sqlite

    if dialect_name in ("mysql", "mariadb"):
        into = mysql.insert(table)
        new = into.inserted
        return into.on_duplicate_key_update(ciphertext=new.ciphertext, updated_at=new.updated_at)
    if dialect_name == "postgresql":
        upsert: postgresql.Insert | sqlite.Insert = postgresql.insert(table)
    elif dialect_name == "sqlite":
        upsert = sqlite.insert(table)
    else:
        return None
    changes = {
        "ciphertext": upsert.excluded.ciphertext,
        "updated_at": upsert.excluded.updated_at,
    }
    return upsert.on_conflict_do_update(index_elements=["owner_id"], set_=changes)
