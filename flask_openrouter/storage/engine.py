"""SQLAlchemy engines for web workers.

The engines limit every wait, connect again, survive forks, and keep parameters out of logs.
"""

from __future__ import annotations

import os
from functools import partial
from typing import TYPE_CHECKING, Any, Final

from ..errors import ConfigurationError
from . import drivers, sqlite
from .drivers import TIMEOUT
from .time_limit import TimeLimit, limit_psycopg

if TYPE_CHECKING:
    from sqlalchemy import URL, Dialect, Engine
    from sqlalchemy.pool import ConnectionPoolEntry

#: Seconds after which a pooled connection is replaced: load balancers drop idle ones at 300 or so.
RECYCLE: Final = 280


def require_sqlalchemy() -> None:
    """Raise ConfigurationError, naming the remedy, when SQLAlchemy is not installed."""
    try:
        import sqlalchemy  # noqa: F401
    except ImportError:
        missing = True
    else:
        missing = False
    if missing:
        raise ConfigurationError(
            "Keeping keys in a database needs SQLAlchemy:"
            ' pip install "Flask-OpenRouter[sqlalchemy]"'
        )


class OwnEngine:
    """The storage's own engine, with connections of its own in every process.

    Two processes that share a connection get each other's answers. The process id is checked at
    each use, because a server that forks in C, such as uWSGI, does not run Python's fork hooks.

    The constructor raises what :func:`create_storage_engine` does.
    """

    def __init__(self, url: str | URL, *, instance_folder: str | None = None) -> None:
        self._engine = create_storage_engine(url, instance_folder=instance_folder)
        self._is_memory = sqlite.is_memory(self._engine.url)
        self._pid = os.getpid()

    def anchored(self, instance_folder: str) -> OwnEngine:
        """Return the engine whose SQLite file is below this folder, or this one without such."""
        url = self._engine.url
        if not sqlite.is_file(url) or sqlite.file_of(url).is_absolute():
            return self
        engine = OwnEngine(url, instance_folder=instance_folder)
        self._engine.dispose()
        return engine

    def __call__(self) -> Engine:
        """Return the engine, ready for use in this process."""
        pid = os.getpid()
        if pid != self._pid and not self._is_memory:
            # The parent goes on using these connections, and collecting our copies closes some of
            # them. Only what the interpreter itself refers to is collected after all the rest.
            os.register_at_fork(after_in_child=partial(id, self._engine.pool))
            self._engine.dispose(close=False)
            # Last, so that no other thread uses an inherited connection. It may renew again.
            self._pid = pid
        return self._engine


def create_storage_engine(url: str | URL, *, instance_folder: str | None = None) -> Engine:
    """Return an engine for this URL, in autocommit, that connects on first use.

    The URL's query, such as ``?connect_timeout=2``, wins over our time-outs. ``instance_folder``:
    where relative paths of SQLite files begin, or None for the working directory.
    Raises ConfigurationError for a malformed URL, an unknown dialect, a driver that is missing or
    asynchronous, and an SQLite file in a folder that does not exist or in the working directory
    instead of the instance folder. The URL may hold a password, so no error shows it or has a
    cause.
    """
    from sqlalchemy.exc import ArgumentError, NoSuchModuleError

    problem = ""
    try:
        return _create_engine(url, instance_folder)
    except ImportError as exc:
        problem = (
            f"The database driver cannot be imported ({exc}). Install it, or name another in the"
            " URL, as in postgresql+psycopg://…"
        )
    except NoSuchModuleError:
        problem = (
            f"SQLAlchemy knows no database called {str(url).partition('://')[0]!r}. Write, for"
            " example, sqlite:///keys.db, postgresql+psycopg://… or mysql+pymysql://…"
        )
    except ConfigurationError as exc:
        problem = str(exc)
    except (ArgumentError, TypeError, ValueError):
        problem = (
            "SQLAlchemy does not take this database URL. Write sqlite:///keys.db (three slashes)"
            " or dialect+driver://user:password@host/database, with special characters of the"
            " password percent-encoded."
        )
    raise ConfigurationError(problem)


def check_engine(engine: object) -> Engine:
    """Return the app's engine if a storage can use it. Raises ConfigurationError if not."""
    from sqlalchemy import Engine
    from sqlalchemy.pool import SingletonThreadPool, StaticPool

    if not isinstance(engine, Engine):
        raise ConfigurationError(
            "Expected an SQLAlchemy Engine, a URL, or a function that returns an Engine; got"
            f" {type(engine).__name__}."
        )
    _check_dialect(engine.dialect)
    is_shared = isinstance(engine.pool, StaticPool) and engine.dialect.name != "sqlite"
    if is_shared or isinstance(engine.pool, SingletonThreadPool):
        raise ConfigurationError(
            f"This engine shares one connection ({type(engine.pool).__name__}), so storing a key"
            " would end the app's own transaction. Use a database file or server, or memory:// for"
            " tests."
        )
    return engine


def public_url(url: URL) -> str:
    """Return the URL for messages, without passwords. Its query may hold one, too."""
    # What follows a first "@" in a password that is not encoded is taken for the host.
    host = (url.host or "").rpartition("@")[2]
    return url.set(query={}, host=host).render_as_string(hide_password=True)


def _create_engine(url: str | URL, instance_folder: str | None) -> Engine:
    from sqlalchemy import create_engine, event, make_url
    from sqlalchemy.pool import QueuePool

    url = make_url(url)
    dialect = url.get_dialect()
    _check_dialect(dialect)
    is_memory = sqlite.is_memory(url)
    if sqlite.is_file(url):
        if instance_folder is not None:
            url = sqlite.anchored(url, instance_folder)
        sqlite.check_folder(url, instance_folder)
    arguments = drivers.connect_args(dialect.driver, url.query)
    if is_memory:
        # The one connection is the database: it is handed from thread to thread, never replaced.
        arguments["check_same_thread"] = False
    engine = create_engine(
        url,
        connect_args=arguments,
        isolation_level="AUTOCOMMIT",
        hide_parameters=True,
        poolclass=QueuePool,
        pool_size=1 if is_memory else 5,
        max_overflow=0 if is_memory else 5,
        pool_timeout=TIMEOUT,
        pool_recycle=-1 if is_memory else RECYCLE,
    )
    # In autocommit nothing is ever left to roll back, so nothing is sent for it. (Also a parameter
    # of create_engine, since SQLAlchemy 2.0.43; older ones send a ROLLBACK to MySQL.)
    engine.dialect.skip_autocommit_rollback = True
    if sqlite.is_file(url):
        sqlite.prepare_file(engine, instance_folder)
    drivers.check_options(engine, url)
    drivers.replace_read_only_connections(engine)
    if dialect.driver in drivers.LIBPQ and "statement_timeout" not in str(url.query.get("options")):
        # The server itself gives up first, unless it is frozen.
        if dialect.driver == "psycopg":
            limit_psycopg(engine, TIMEOUT + 1)
        else:
            TimeLimit(TIMEOUT + 1).listen(engine)
        event.listen(engine, "connect", _limit_statements)
    if dialect.name in ("mysql", "mariadb"):
        event.listen(engine, "connect", drivers.limit_mysql)
    return engine


def _check_dialect(dialect: Dialect | type[Dialect]) -> None:
    if dialect.is_async:
        raise ConfigurationError(
            f"The database driver {dialect.driver!r} is asynchronous. Use a synchronous one, as in"
            " postgresql+psycopg://…"
        )


def _limit_statements(connection: Any, _: ConnectionPoolEntry) -> None:
    # PgBouncer refuses the start-up parameter "options", and behind it a SET is wrong: it stays on
    # a connection to the server that serves other clients next. A pooler answers the handshake with
    # a process id of its own, so this condition holds for a connection that is ours alone.
    cursor = connection.cursor()
    cursor.execute(
        "SELECT set_config('statement_timeout', %s, false) WHERE pg_backend_pid() = %s",
        (f"{TIMEOUT}s", connection.info.backend_pid),
    )
    cursor.close()
