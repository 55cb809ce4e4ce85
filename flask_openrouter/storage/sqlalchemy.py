"""A storage in one table of any database that SQLAlchemy supports."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timezone
from typing import TYPE_CHECKING, Any, Final, TypeVar

from . import check_owner_id
from .engine import (
    BYTES_DIALECTS,
    OwnEngine,
    check_engine,
    create_table,
    create_upsert,
    require_sqlalchemy,
)

if TYPE_CHECKING:
    from sqlalchemy import URL, Connection, Engine, Insert, Table

__all__ = ["SQLAlchemyStorage"]

#: Owners read by one statement of a listing, and counted by one of a count.
PAGE: Final = 500
STEP: Final = 20_000

Result = TypeVar("Result")


class SQLAlchemyStorage:
    """Keeps ciphertexts in a table ``openrouter_keys``, with SQLAlchemy Core.

    ``url_or_engine``: a database URL; or the app's engine; or a function that returns it, such as
    ``lambda: db.engine`` with Flask-SQLAlchemy, whose engine needs an app context. An engine of the
    app is used with separate connections in autocommit, never with its session or transaction.

    ``table_name``: two apps that share one database need different names.

    The table is created on first use if it is missing, or by :meth:`create_table`. For Alembic, add
    :attr:`table` to what it watches: ``target_metadata = [db.metadata, storage.table.metadata]``.

    Each of get, set and delete is one statement in one round trip. Repeating one is
    harmless, so it is tried once more when the connection turns out to be dead.

    The constructor raises ConfigurationError when SQLAlchemy or the driver is missing and when the
    URL or engine cannot be used. Every method raises ValueError for an owner id that
    ``check_owner_id`` refuses, and the errors of SQLAlchemy for the rest.
    """

    def __init__(
        self,
        url_or_engine: str | URL | Engine | Callable[[], Engine],
        *,
        table_name: str = "openrouter_keys",
    ) -> None:
        require_sqlalchemy()
        from sqlalchemy import URL, bindparam, delete, func, select, update

        self._own_engine: OwnEngine | None = None
        if isinstance(url_or_engine, str | URL):
            self._own_engine = OwnEngine(url_or_engine)
            self._load_engine: Callable[[], Engine] = self._own_engine
        elif callable(url_or_engine):
            self._load_engine = url_or_engine
        else:
            engine = check_engine(url_or_engine)
            self._load_engine = lambda: engine
        self._binding: _Binding | None = None
        #: The table's definition.
        self.table: Table = create_table(table_name)
        columns = self.table.c
        self._select = select(columns.ciphertext).where(columns.owner_id == bindparam("owner_id"))
        self._delete = delete(self.table).where(columns.owner_id == bindparam("owner_id"))
        self._replace = update(self.table).where(
            columns.owner_id == bindparam("owner"), columns.ciphertext == bindparam("old")
        )
        self._delete_if = delete(self.table).where(
            columns.owner_id == bindparam("owner"), columns.ciphertext == bindparam("old")
        )
        rest = (
            select(columns.owner_id)
            .where(columns.owner_id > bindparam("after"))
            .order_by(columns.owner_id)
        )
        self._select_page = rest.limit(PAGE)
        step = rest.limit(STEP).subquery()
        self._count = select(func.count(), func.max(step.c.owner_id)).select_from(step)

    @property
    def location(self) -> str:
        """Where the entries are, for messages. Without the password."""
        url = self._load_engine().url.render_as_string(hide_password=True)
        return f"the table {self.table.fullname} of {url}"

    def get(self, owner_id: str) -> str | None:
        """Return the ciphertext that was set last for this owner, or None."""
        check_owner_id(owner_id)

        def read(connection: Connection, binding: _Binding) -> str | None:
            parameters = {"owner_id": binding.encode(owner_id)}
            ciphertext: str | None = connection.execute(self._select, parameters).scalar()
            return ciphertext

        return self._run(read)

    def set(self, owner_id: str, ciphertext: str) -> None:
        """Store this ciphertext for this owner, replacing any other."""
        check_owner_id(owner_id)
        now = datetime.now(timezone.utc)

        def write(connection: Connection, binding: _Binding) -> None:
            row = {
                "owner_id": binding.encode(owner_id),
                "ciphertext": ciphertext,
                "created_at": now,
                "updated_at": now,
            }
            if binding.upsert is None:
                self._update_or_insert(connection, row)
            else:
                connection.execute(binding.upsert, row)

        self._run(write)

    def replace(self, owner_id: str, ciphertext: str, new_ciphertext: str) -> bool:
        """Store ``new_ciphertext`` if ``ciphertext`` is what is stored; return whether it was."""
        check_owner_id(owner_id)

        def change(connection: Connection, binding: _Binding) -> bool:
            parameters = {
                "owner": binding.encode(owner_id),
                "old": ciphertext,
                "ciphertext": new_ciphertext,
                "updated_at": datetime.now(timezone.utc),
            }
            return connection.execute(self._replace, parameters).rowcount == 1

        return self._run(change)

    def delete(self, owner_id: str) -> None:
        """Delete this owner's ciphertext. No error if there is none."""
        check_owner_id(owner_id)

        def remove(connection: Connection, binding: _Binding) -> None:
            connection.execute(self._delete, {"owner_id": binding.encode(owner_id)})

        self._run(remove)

    def delete_if(self, owner_id: str, ciphertext: str) -> bool:
        """Delete the entry if ``ciphertext`` is what is stored; return whether it was."""
        check_owner_id(owner_id)

        def remove(connection: Connection, binding: _Binding) -> bool:
            parameters = {"owner": binding.encode(owner_id), "old": ciphertext}
            return connection.execute(self._delete_if, parameters).rowcount == 1

        return self._run(remove)

    def owner_ids(self, after: str | None = None) -> Iterator[str]:
        """Yield the owners in the database's order, those behind ``after`` only if it is given."""
        last = after or ""
        while True:
            page = self._read_page(last)
            yield from page
            if len(page) < PAGE:
                return
            last = page[-1]

    def count_owners(self) -> int:
        """Return how many owners there are. Counts in steps: no statement takes long."""
        total, last = 0, ""
        while True:
            count, last = self._count_step(last)
            total += count
            if count < STEP:
                return total

    def anchor(self, instance_folder: str) -> None:
        """Let a relative path of an SQLite file begin in this folder.

        The extension calls it with the app's instance folder. Raises ConfigurationError when there
        is a file in the working directory and none in that folder.
        """
        if self._own_engine is not None:
            self._own_engine = self._load_engine = self._own_engine.anchored(instance_folder)

    def create_table(self) -> None:
        """Create the table unless it exists. Several processes may do so at the same time."""
        self._create_table(self._bind())

    def close(self) -> None:
        """Close the pooled connections, unless the engine is the app's. They open again on use."""
        self._binding = None
        if self._own_engine is not None:
            self._own_engine().dispose()

    def _read_page(self, after: str) -> Sequence[str]:
        def read(connection: Connection, binding: _Binding) -> Sequence[str]:
            parameters = {"after": binding.encode(after)}
            owners = connection.execute(self._select_page, parameters).scalars()
            return [_decode(owner) for owner in owners]

        return self._run(read)

    def _count_step(self, after: str) -> tuple[int, str]:
        def read(connection: Connection, binding: _Binding) -> tuple[int, str]:
            parameters = {"after": binding.encode(after)}
            count, last = connection.execute(self._count, parameters).one()
            return count, _decode(last or "")

        return self._run(read)

    def _run(
        self, work: Callable[[Connection, _Binding], Result], *, is_retry: bool = False
    ) -> Result:
        from sqlalchemy.exc import DBAPIError

        binding = self._bind()
        try:
            if not binding.has_table:
                self._create_table(binding)
            with binding.engine.connect() as connection:
                return work(connection, binding)
        except DBAPIError as exc:
            # The table may have been dropped: look for it before the next statement.
            binding.has_table = False
            # The first to meet a dead connection empties the pool; the retry opens a new one.
            if is_retry or not exc.connection_invalidated:
                raise
        return self._run(work, is_retry=True)

    def _bind(self) -> _Binding:
        # The app's function is called each time: one storage may serve two apps and their engines.
        source = self._load_engine()
        binding = self._binding
        if binding is None or binding.source is not source:
            binding = self._binding = self._create_binding(source)
        return binding

    def _create_binding(self, source: Engine) -> _Binding:
        engine = source
        if self._own_engine is None:
            engine = check_engine(source).execution_options(isolation_level="AUTOCOMMIT")
            engine.hide_parameters = True
        dialect_name = engine.dialect.name
        encode: Callable[[str], str | bytes] = str.encode if dialect_name in BYTES_DIALECTS else str
        return _Binding(source, engine, create_upsert(self.table, dialect_name), encode)

    def _create_table(self, binding: _Binding) -> None:
        from sqlalchemy import inspect
        from sqlalchemy.exc import DBAPIError

        with binding.engine.connect() as connection:
            if not inspect(connection).has_table(self.table.name):
                try:
                    self.table.create(connection, checkfirst=False)
                except DBAPIError:
                    # Another process may have been faster; IF NOT EXISTS fails then as well.
                    if not inspect(connection).has_table(self.table.name):
                        raise
        binding.has_table = True

    def _update_or_insert(self, connection: Connection, row: dict[str, Any]) -> None:
        from sqlalchemy import bindparam, insert, update
        from sqlalchemy.exc import IntegrityError

        columns = self.table.c
        change = (
            update(self.table)
            .where(columns.owner_id == bindparam("owner"))
            .values(ciphertext=row["ciphertext"], updated_at=row["updated_at"])
        )
        owner = {"owner": row["owner_id"]}
        if connection.execute(change, owner).rowcount:
            return
        try:
            connection.execute(insert(self.table), row)
        except IntegrityError:
            # Another thread has inserted this owner in between. This entry is the later one.
            connection.execute(change, owner)


@dataclass
class _Binding:
    """What depends on the engine in use."""

    source: Engine
    engine: Engine
    upsert: Insert | None
    #: Turns an owner id into what the column holds.
    encode: Callable[[str], str | bytes]
    has_table: bool = False


def _decode(owner_id: str | bytes) -> str:
    return owner_id.decode() if isinstance(owner_id, bytes) else owner_id
