"""What each database driver needs: time-outs, options of the URL, and its errors."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from time import monotonic
from typing import TYPE_CHECKING, Any, Final

from ..errors import ConfigurationError

if TYPE_CHECKING:
    from sqlalchemy import URL, Connection, Engine
    from sqlalchemy.engine import ExceptionContext
    from sqlalchemy.pool import ConnectionPoolEntry

#: Seconds to wait for a connection, a lock or an answer: a visitor waits behind each of them.
TIMEOUT: Final = 5
#: The drivers that use PostgreSQL's own library.
LIBPQ: Final = ("psycopg", "psycopg2")

# A server that vanishes silently is noticed by TCP alone, by default after 15 minutes while we wait
# and after two hours while we do not.
_LIBPQ: Final = {
    "connect_timeout": TIMEOUT,
    "tcp_user_timeout": TIMEOUT * 1000,
    "keepalives_idle": 30,
    "keepalives_interval": 5,
    "keepalives_count": 3,
}
_MYSQL: Final = {"connect_timeout": TIMEOUT, "read_timeout": TIMEOUT, "write_timeout": TIMEOUT}
_CONNECT_ARGS: Final[dict[str, dict[str, Any]]] = {
    # Poolers hand a prepared statement's connection to another client, which may have one of the
    # same name: its DELETE would run as our SELECT.
    "psycopg": {**_LIBPQ, "prepare_threshold": None},
    "psycopg2": _LIBPQ,
    "pg8000": {"timeout": TIMEOUT},
    "pymysql": _MYSQL,
    "mysqldb": _MYSQL,
    "mysqlconnector": {"connection_timeout": TIMEOUT},
    "pysqlite": {"timeout": TIMEOUT},
}
#: Options of the URL that these drivers take as numbers or truth values only, and not as text.
_CONVERSIONS: Final[dict[str, dict[str, Callable[[str], Any]]]] = {
    "psycopg": {"prepare_threshold": int},
    "pg8000": {
        "timeout": float,
        "tcp_keepalive": lambda text: _truth(text),
        "ssl_context": lambda text: _truth(text),
    },
}
# The server gives up before the client does. Otherwise it goes on, and changes the key later. The
# comments are read by MariaDB and by MySQL alone.
_MYSQL_LIMITS: Final = (
    f"SET SESSION innodb_lock_wait_timeout = {TIMEOUT - 1}, lock_wait_timeout = {TIMEOUT - 1}"
    f" /*M!100101 , max_statement_time = {TIMEOUT - 1} */"
    f" /*!50708 , max_execution_time = {(TIMEOUT - 1) * 1000} */"
)
#: The errors of a server that takes no writes, as after a fail-over: SQLSTATE and MySQL's numbers.
_READ_ONLY_STATE: Final = "25006"
_READ_ONLY_NUMBERS: Final = (1290, 1792, 1836)


def connect_args(driver: str, query: Mapping[str, Any]) -> dict[str, Any]:
    """Return the driver's arguments for time-outs, and the URL's own that need a conversion.

    Raises ValueError for an option whose value the driver would not take.
    """
    arguments = {
        name: value for name, value in _CONNECT_ARGS.get(driver, {}).items() if name not in query
    }
    hosts = query.get("host", "")
    if driver in LIBPQ and "connect_timeout" in arguments:
        # For each server that the URL names; the driver waits for 2 seconds at least.
        number = (hosts if isinstance(hosts, str) else ",".join(hosts)).count(",") + 1
        arguments["connect_timeout"] = max(2, TIMEOUT // number)
    for name, convert in _CONVERSIONS.get(driver, {}).items():
        if name in query:
            arguments[name] = convert(str(query[name]))
    return arguments


def check_options(engine: Engine, url: URL) -> None:
    """Raise ConfigurationError for an option of the URL that the driver does not know.

    Otherwise the driver would find out at the first visitor.
    """
    dialect, driver = engine.dialect, engine.dialect.driver
    dbapi: Any = dialect.loaded_dbapi
    if driver in ("pg8000", "pymysql"):
        known = inspect.signature(dbapi.connect).parameters
        # SQLAlchemy has options of its own, and has taken them out here.
        options = dialect.create_connect_args(url)[1]
        unknown = [name for name in options if name not in known]
        # It takes a dictionary, which SQLAlchemy makes of ssl_ca and the like.
        unknown += [name for name in options if name == "ssl" and isinstance(options[name], str)]
    elif driver in LIBPQ:
        unknown = [name for name in url.query if not _is_libpq_option(dbapi, name)]
    elif driver == "mysqldb":
        options = dialect.create_connect_args(url)[1]
        unknown = [name for name in options if not _is_mysqldb_option(dbapi, name, options[name])]
    else:
        return
    if unknown:
        raise ConfigurationError(
            f"The database driver {driver!r} knows no option {', '.join(map(repr, unknown))}."
            " Correct or remove it in the URL."
        )


def connect(engine: Engine) -> Connection:
    """Return a connection of the app's engine, also if those in its pool are dead.

    To begin autocommit, MySQL's drivers send a statement, whose error SQLAlchemy does not see.
    """
    started = monotonic()
    try:
        return engine.connect()
    except engine.dialect.loaded_dbapi.Error:
        if engine.dialect.name not in ("mysql", "mariadb") or monotonic() - started > TIMEOUT / 2:
            raise
    engine.dispose()
    return engine.connect()


def limit_mysql(connection: Any, _: ConnectionPoolEntry | None) -> None:
    """Let MySQL and MariaDB give up a statement that waits, before its client gives up."""
    cursor = connection.cursor()
    cursor.execute(_MYSQL_LIMITS)
    cursor.close()


def replace_read_only_connections(engine: Engine) -> None:
    """Treat the error of a server that is read-only as the end of its connection.

    After a fail-over behind one address, only a new connection finds the new primary.
    """
    from sqlalchemy import event

    event.listen(engine, "handle_error", _end_if_read_only)


def _end_if_read_only(context: ExceptionContext) -> None:
    error: Any = context.original_exception
    arguments = getattr(error, "args", None) or (None,)
    details: Any = arguments[0] if isinstance(arguments[0], dict) else {}
    state = getattr(error, "sqlstate", None) or getattr(error, "pgcode", None) or details.get("C")
    number = getattr(error, "errno", None) or arguments[0]
    is_mysql = context.dialect.name in ("mysql", "mariadb")
    if state == _READ_ONLY_STATE or (is_mysql and number in _READ_ONLY_NUMBERS):
        context.is_disconnect = True


def _is_mysqldb_option(dbapi: Any, name: str, value: Any) -> bool:
    if name in ("host", "port", "unix_socket"):
        return True
    try:
        # It checks the names before it connects, and here is nothing to connect to.
        dbapi.connect(unix_socket="/dev/null/nowhere", **{name: value})
    except TypeError:
        return False
    except dbapi.Error:
        pass
    return True


def _is_libpq_option(dbapi: Any, name: str) -> bool:
    if name in ("host", "port") or name in inspect.signature(dbapi.connect).parameters:
        return True
    is_version_3 = hasattr(dbapi, "conninfo")
    check = dbapi.conninfo.make_conninfo if is_version_3 else dbapi.extensions.make_dsn
    try:
        check("", **{name: "1"})
    except dbapi.ProgrammingError:
        return False
    return True


def _truth(text: str) -> bool:
    words = {"1": True, "true": True, "yes": True, "0": False, "false": False, "no": False}
    if text.lower() not in words:
        raise ValueError(text)
    return words[text.lower()]
