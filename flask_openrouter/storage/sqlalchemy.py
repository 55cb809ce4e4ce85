"""A storage in one table of any database that SQLAlchemy supports."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timezone
from time import monotonic
from typing import TYPE_CHECKING, Any, Protocol, TypeVar, cast

from ..client.credentials import hides_frames
from ..errors import ConfigurationError
from . import check_owner_id, open_writes
from .drivers import TIMEOUT, connect, replace_read_only_connections
from .engine import OwnEngine, check_engine, public_url, require_sqlalchemy
from .key_table import BYTES_DIALECTS, PAGE, STEP, KeyTable, create_upsert

if TYPE_CHECKING:
    from sqlalchemy import URL, Connection, Engine, Insert, MetaData, Table
    from sqlalchemy.exc import DBAPIError

__all__ = ["SQLAlchemyStorage"]

Result = TypeVar("Result")


class _Database(Protocol):
    """What is used of Flask-SQLAlchemy's ``db``."""

    @property
    def metadata(self) -> MetaData: ...

    @property
    def engine(self) -> Engine: ...


class SQLAlchemyStorage:
    """Keeps ciphertexts in a table ``openrouter_keys``, with SQLAlchemy Core.

    ``url_or_engine``: a database URL; or the app's engine, or a function that returns it; or the
    ``db`` of Flask-SQLAlchemy. The app's engine is used with separate connections in autocommit,
    never with its session or transaction. Only SQLite, which has one writer, gets a key through the
    connection on which the app has uncommitted changes.

    ``table_name``, ``schema``: the table's name, and the database schema it is in.

    With ``db`` the table belongs to ``db.metadata``, and is made by ``flask db upgrade`` or
    ``db.create_all()`` only. Otherwise it is created on first use if it is missing, or by
    :meth:`create_table`. For Alembic without Flask-SQLAlchemy, add :attr:`table` to what it
    watches: ``target_metadata = [metadata, storage.table.metadata]``.

    Each of get, set and delete is one statement in one round trip. Repeating one is harmless, so it
    is tried once more when the connection turns out to be dead.

    The constructor raises ConfigurationError when SQLAlchemy or the driver is missing and when an
    argument cannot be used. Every method raises ValueError for an owner id that ``check_owner_id``
    refuses, ConfigurationError when the table of ``db`` is missing, and else SQLAlchemy's errors.
    """

    @hides_frames
    def __init__(
        self,
        url_or_engine: str | URL | Engine | Callable[[], Engine] | _Database,
        *,
        table_name: str = "openrouter_keys",
        schema: str | None = None,
    ) -> None:
        require_sqlalchemy()
        from sqlalchemy import URL, MetaData

        self._own_engine: OwnEngine | None = None
        self._load_engine: Callable[[], Engine]
        metadata: MetaData | None = None
        source: Any = url_or_engine
        if isinstance(source, str | URL):
            self._own_engine = self._load_engine = OwnEngine(source)
        elif isinstance(getattr(source, "metadata", None), MetaData):
            metadata = source.metadata
            # Its engine can be read inside of an app context only.
            self._load_engine = lambda: source.engine
        elif callable(source):
            self._load_engine = cast("Callable[[], Engine]", source)
        else:
            engine = check_engine(source)
            self._load_engine = lambda: engine
        self._creates_table = metadata is None
        self._binding: _Binding | None = None
        self._table = KeyTable(table_name, schema, metadata)
        # Not at first use: a transaction of the app that has begun by then would go unnoticed.
        open_writes.watch_connections()

    @property
    def table(self) -> Table:
        """The table's definition."""
        return self._table.definition

    @property
    def location(self) -> str:
        """Where the entries are, for messages. Without the password."""
        return f"the table {self.table.fullname} of {public_url(self._load_engine().url)}"

    def get(self, owner_id: str) -> str | None:
        """Return the ciphertext that was set last for this owner, or None."""
        check_owner_id(owner_id)

        def read(connection: Connection, binding: _Binding) -> str | None:
            parameters = {"owner_id": binding.encode(owner_id)}
            ciphertext: str | None = connection.execute(self._table.select, parameters).scalar()
            return ciphertext

        return self._run(read)

    def set(self, owner_id: str, ciphertext: str) -> None:
        """Store this ciphertext for this owner, replacing any other."""
        check_owner_id(owner_id)

        def write(connection: Connection, binding: _Binding) -> None:
            row = _create_row(binding.encode(owner_id), ciphertext)
            if binding.upsert is None:
                self._table.update_or_insert(connection, row)
            else:
                connection.execute(binding.upsert, row)

        self._run(write, is_write=True)

    def add(self, owner_id: str, ciphertext: str) -> bool:
        """Store this ciphertext if nothing is stored for this owner; return whether it was."""
        check_owner_id(owner_id)

        def insert(connection: Connection, binding: _Binding) -> bool:
            row = _create_row(binding.encode(owner_id), ciphertext)
            return self._table.insert_if_absent(connection, row)

        return self._run(insert, is_write=True)

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
            return connection.execute(self._table.replace, parameters).rowcount == 1

        return self._run(change, is_write=True)

    def delete(self, owner_id: str) -> None:
        """Delete this owner's ciphertext. No error if there is none."""
        check_owner_id(owner_id)

        def remove(connection: Connection, binding: _Binding) -> None:
            connection.execute(self._table.delete, {"owner_id": binding.encode(owner_id)})

        self._run(remove, is_write=True)

    def delete_if(self, owner_id: str, ciphertext: str) -> bool:
        """Delete the entry if ``ciphertext`` is what is stored; return whether it was."""
        check_owner_id(owner_id)

        def remove(connection: Connection, binding: _Binding) -> bool:
            parameters = {"owner": binding.encode(owner_id), "old": ciphertext}
            return connection.execute(self._table.delete_if, parameters).rowcount == 1

        return self._run(remove, is_write=True)

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
        binding = self._bind()
        with binding.engine.connect() as connection:
            self._table.create(connection)
        binding.has_table = True

    def close(self) -> None:
        """Close the pooled connections, unless the engine is the app's. They open again on use."""
        self._binding = None
        if self._own_engine is not None:
            self._own_engine().dispose()

    def _read_page(self, after: str) -> Sequence[str]:
        def read(connection: Connection, binding: _Binding) -> Sequence[str]:
            parameters = {"after": binding.encode(after)}
            owners = connection.execute(self._table.select_page, parameters).scalars()
            return [_decode(owner) for owner in owners]

        return self._run(read)

    def _count_step(self, after: str) -> tuple[int, str]:
        def read(connection: Connection, binding: _Binding) -> tuple[int, str]:
            parameters = {"after": binding.encode(after)}
            row: Any = connection.execute(self._table.count, parameters).one()
            count, last = row
            return count, _decode(last or "")

        return self._run(read)

    def _run(
        self,
        work: Callable[[Connection, _Binding], Result],
        *,
        is_write: bool = False,
        is_retry: bool = False,
    ) -> Result:
        from sqlalchemy.exc import DBAPIError

        started = monotonic()
        binding = self._bind()
        if binding.database is not None:
            connection = open_writes.find_connection(binding.database)
            if connection is not None:
                return self._run_through(connection, binding, work, is_write)
        try:
            with connect(binding.engine) as connection:
                if not binding.has_table and self._creates_table:
                    self._table.create(connection)
                    binding.has_table = True
                return work(connection, binding)
        except DBAPIError as exc:
            # The table may have been dropped: look for it before the next statement.
            binding.has_table = False
            # The first to meet a dead connection empties the pool; the retry opens a new one. After
            # a time-out there is no time for another.
            is_slow = monotonic() - started > TIMEOUT / 2
            if is_retry or is_slow or not exc.connection_invalidated:
                self._explain(exc, binding)
                raise
        return self._run(work, is_write=is_write, is_retry=True)

    def _run_through(
        self,
        connection: Connection,
        binding: _Binding,
        work: Callable[[Connection, _Binding], Result],
        is_write: bool,
    ) -> Result:
        """Run through a connection on which the app has uncommitted changes."""
        from sqlalchemy.exc import DBAPIError

        try:
            if self._creates_table:
                self._table.create(connection)
            result = work(connection, binding)
        except DBAPIError as exc:
            self._explain(exc, binding)
            raise
        if is_write:
            open_writes.repeat_if_undone(connection, lambda: self._run(work, is_write=True))
        return result

    def _explain(self, error: DBAPIError, binding: _Binding) -> None:
        """Raise ConfigurationError if a statement failed because the table of ``db`` is missing."""
        from sqlalchemy.exc import DBAPIError

        if self._creates_table or error.connection_invalidated:
            return
        try:
            with binding.engine.connect() as connection:
                is_missing = not self._table.exists(connection)
        except DBAPIError:
            return
        if is_missing:
            raise ConfigurationError(
                f"The table {self.table.fullname!r} does not exist. It is part of the app's db:"
                " make it with flask db migrate and flask db upgrade, or with db.create_all()."
            ) from error

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
            replace_read_only_connections(engine)
        dialect_name = engine.dialect.name
        encode: Callable[[str], str | bytes] = str.encode if dialect_name in BYTES_DIALECTS else str
        database = open_writes.database_of(source)
        upsert = create_upsert(self.table, dialect_name)
        return _Binding(source, engine, upsert, encode, database)


@dataclass
class _Binding:
    """What depends on the engine in use."""

    source: Engine
    engine: Engine
    upsert: Insert | None
    #: Turns an owner id into what the column holds.
    encode: Callable[[str], str | bytes]
    #: What identifies an SQLite database, or None.
    database: object
    has_table: bool = False


def _create_row(owner_id: str | bytes, ciphertext: str) -> dict[str, object]:
    now = datetime.now(timezone.utc)
    return {
        "owner_id": owner_id,
        "ciphertext": ciphertext,
        "created_at": now,
        "updated_at": now,
    }


def _decode(owner_id: str | bytes) -> str:
    return owner_id.decode() if isinstance(owner_id, bytes) else owner_id
