"""The table of keys, and the statements that are sent to it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from ..errors import ConfigurationError
from . import MAX_LENGTH

if TYPE_CHECKING:
    from typing import Any

    from sqlalchemy import Connection, Delete, Insert, MetaData, Select, Table, Update

#: Their text collations ignore case, or trailing spaces, or both. Bytes are compared as they are.
BYTES_DIALECTS: Final = ("mysql", "mariadb", "mssql")
#: Owners read by one statement of a listing, and counted by one of a count.
PAGE: Final = 500
STEP: Final = 20_000
_COLUMNS: Final = ("owner_id", "ciphertext", "created_at", "updated_at")


class KeyTable:
    """The table's definition, and its statements for every dialect.

    ``metadata``: the app's, which then has the table, too; a storage that was made before with the
    same metadata shares it. Raises ConfigurationError for a name that cannot be used.
    """

    def __init__(self, name: str, schema: str | None, metadata: MetaData | None) -> None:
        from sqlalchemy import BINARY, String, Text, bindparam, cast, delete, func, select, update

        self.definition: Table = _define(name, schema, metadata)
        columns = self.definition.c
        owner = columns.owner_id == bindparam("owner_id")
        # Exact also where collations ignore case.
        exact = cast(columns.ciphertext, Text().with_variant(BINARY(), "mysql", "mariadb"))
        unchanged = (columns.owner_id == bindparam("owner")) & (
            exact == bindparam("old", type_=String())
        )
        self.select: Select[Any] = select(columns.ciphertext).where(owner)
        self.delete: Delete = delete(self.definition).where(owner)
        self.replace: Update = update(self.definition).where(unchanged)
        self.delete_if: Delete = delete(self.definition).where(unchanged)
        rest = (
            select(columns.owner_id)
            .where(columns.owner_id > bindparam("after"))
            .order_by(columns.owner_id)
        )
        self.select_page: Select[Any] = rest.limit(PAGE)
        step = rest.limit(STEP).subquery()
        #: Its type differs between the releases of SQLAlchemy.
        self.count: Any = select(func.count(), func.max(step.c.owner_id)).select_from(step)

    def exists(self, connection: Connection) -> bool:
        """Return whether the database has the table."""
        from sqlalchemy import inspect

        table = self.definition
        return inspect(connection).has_table(table.name, schema=table.schema)

    def create(self, connection: Connection) -> None:
        """Create the table unless it exists. Several processes may do so at the same time."""
        from sqlalchemy.exc import DBAPIError

        if self.exists(connection):
            return
        try:
            self.definition.create(connection, checkfirst=False)
        except DBAPIError:
            # Another process may have been faster; IF NOT EXISTS fails then as well.
            if connection.invalidated or not self.exists(connection):
                raise

    def insert_if_absent(self, connection: Connection, row: dict[str, object]) -> bool:
        """Insert the row unless its owner has one; return whether it was inserted."""
        from sqlalchemy import insert
        from sqlalchemy.exc import IntegrityError

        try:
            connection.execute(insert(self.definition), row)
        except IntegrityError:
            return False
        return True

    def update_or_insert(self, connection: Connection, row: dict[str, object]) -> None:
        """Store the row where the dialect has no statement for it."""
        from sqlalchemy import bindparam, update

        change = (
            update(self.definition)
            .where(self.definition.c.owner_id == bindparam("owner"))
            .values(ciphertext=row["ciphertext"], updated_at=row["updated_at"])
        )
        owner = {"owner": row["owner_id"]}
        if connection.execute(change, owner).rowcount:
            return
        if not self.insert_if_absent(connection, row):
            # Another thread has inserted this owner in between. This entry is the later one.
            connection.execute(change, owner)


def create_upsert(table: Table, dialect_name: str) -> Insert | None:
    """Return INSERT ... ON CONFLICT in this dialect, or None if we know of none."""
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


def _define(name: str, schema: str | None, metadata: MetaData | None) -> Table:
    from sqlalchemy import VARBINARY, Column, DateTime, MetaData, String, Table, Text

    if "." in name:
        raise ConfigurationError(
            f"table_name {name!r} has a dot. Name the schema by itself, as in schema='keys',"
            " table_name='openrouter_keys'."
        )
    # "C" compares bytes: always exact, and its order outlives upgrades of the operating system.
    owner_type = (
        String(MAX_LENGTH)
        .with_variant(String(MAX_LENGTH, collation="C"), "postgresql")
        .with_variant(VARBINARY(MAX_LENGTH * 4), *BYTES_DIALECTS)
    )
    metadata = MetaData() if metadata is None else metadata
    schema = schema or metadata.schema
    known = metadata.tables.get(f"{schema}.{name}" if schema else name)
    if known is not None:
        if {*_COLUMNS} - {*known.columns.keys()}:
            raise ConfigurationError(
                f"The app has a table {name!r} of its own. Choose another table_name for the keys."
            )
        return known
    return Table(
        name,
        metadata,
        Column("owner_id", owner_type, primary_key=True),
        Column("ciphertext", Text, nullable=False),
        Column("created_at", DateTime(timezone=True), nullable=False),
        Column("updated_at", DateTime(timezone=True), nullable=False),
        schema=schema,
    )
