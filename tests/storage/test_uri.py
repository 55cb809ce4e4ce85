"""OPENROUTER_STORAGE_URI: the storage that it names, and the errors for mistakes in it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from traceback import TracebackException
from types import ModuleType
from typing import Any

import pytest
from servers import PostgreSQLServer, RedisServer, running_redis
from sqlalchemy import event

from flask_openrouter.errors import ConfigurationError
from flask_openrouter.storage import KeyStorage, ListableStorage, drivers
from flask_openrouter.storage.memory import MemoryStorage
from flask_openrouter.storage.redis import RedisStorage
from flask_openrouter.storage.sqlalchemy import SQLAlchemyStorage
from flask_openrouter.storage.uri import storage_from_uri


def test_scheme_picks_the_back_end_and_nothing_connects_yet() -> None:
    cases: list[tuple[str, type]] = [
        ("memory://", MemoryStorage),
        ("redis://user:word@127.0.0.1:1/0", RedisStorage),
        ("rediss://127.0.0.1:1", RedisStorage),
        ("valkey://user:word@127.0.0.1:1/0", RedisStorage),
        ("valkeys://127.0.0.1:1", RedisStorage),
        ("unix://user:word@/run/redis.sock?db=1", RedisStorage),
        ("sqlite://", SQLAlchemyStorage),
        ("sqlite:///keys.db", SQLAlchemyStorage),
        ("sqlite:///file:/nowhere/keys.db?uri=true", SQLAlchemyStorage),
        ("postgresql+psycopg://user:word@127.0.0.1:1/keys", SQLAlchemyStorage),
    ]
    for uri, kind in cases:
        storage = storage_from_uri(uri, max_age=60)
        assert type(storage) is kind, uri
        assert isinstance(storage, KeyStorage), uri
        assert isinstance(storage, ListableStorage), uri


def test_uris_of_real_servers_work(
    postgresql: PostgreSQLServer, redis_server: RedisServer, tmp_path: Path
) -> None:
    """The password of the PostgreSQL server has every character that needs encoding."""
    for uri in (postgresql.url, redis_server.url, f"sqlite:///{tmp_path}/keys.db"):
        storage = storage_from_uri(uri, max_age=60)
        storage.set("owner", "ciphertext")
        assert storage.get("owner") == "ciphertext"
        storage.delete("owner")
        assert isinstance(storage, RedisStorage | SQLAlchemyStorage)
        storage.close()
    assert redis_server.execute("TTL", "openrouter:key:owner") == -2


def test_max_age_becomes_the_expiry_in_redis(redis_server: RedisServer) -> None:
    storage = storage_from_uri(redis_server.url, max_age=60)
    storage.set("owner", "ciphertext")
    assert redis_server.execute("TTL", "openrouter:key:owner") in range(55, 61)
    assert isinstance(storage, RedisStorage)
    storage.close()


WRONG = {
    "": "no URI",
    "keys.db": "no URI",
    "redis:127.0.0.1": "no URI",
    "memory://CANARY": "takes nothing",
    "://CANARY": "three slashes",
    "nosuch://user:CANARY@host/db": "no database called 'nosuch'",
    "postgres://user:CANARY@host/db": r"postgresql\+psycopg",
    "postgresql+nosuch://user:CANARY@host/db": r"'postgresql\+nosuch'",
    "postgresql+psycopg://user:CANARY@host:port/db": "percent-encoded",
    "postgresql+psycopg://user:CANARY@host/db?prepare_threshold=x": "does not take",
    "postgresql+psycopg://user:CANARY@host/db?prepare_threshold=1&prepare_threshold=2": "not take",
    "postgresql+psycopg://user:CANARY@host/db?nosuch=1": "'psycopg' knows no option 'nosuch'",
    "postgresql+asyncpg://user:CANARY@host/db": "'asyncpg' is asynchronous",
    "sqlite://keys.db": "three slashes",
    "sqlite:////nowhere/at/all/keys.db": "folder '/nowhere/at/all' .* does not exist",
    "redis+sentinel://:CANARY@host/main": r"Sentinel .* storage=RedisStorage\(client\)",
    "rediss+cluster://:CANARY@host": r"Cluster, make the client yourself",
    "redis+unix:///run/CANARY": "unix://",
    "sentinel://:CANARY@host": "'sentinel' is no scheme",
    "valkey+sentinel://:CANARY@host": "'valkey.sentinel' is no scheme",
    "valkey://user:CANARY@host:port": "percent-encoded",
    "redis://user:CANARY@host:port": "percent-encoded",
    "redis://user:CAN/ARY@host": "percent-encoded",
    "redis://:CANARY@host?socket_timeout=CANARY": "redis-py",
    "redis://:CANARY@host?nosuch=CANARY": "redis-py",
    "rediss://:CANARY@host?ssl_cert_reqs=CANARY": "redis-py",
}


def test_mistake_names_the_setting_and_the_remedy_but_no_password() -> None:
    for uri, words in WRONG.items():
        message = f"^OPENROUTER_STORAGE_URI: .*{words}"
        with pytest.raises(ConfigurationError, match=message) as caught:
            storage_from_uri(uri, max_age=60)
        assert not {"CANARY", "CAN", "ARY"} & set(str(caught.value).replace("/", " ").split()), uri
        assert "CANARY" not in repr(caught.value), uri
        assert caught.value.__cause__ is caught.value.__context__ is None, uri


@pytest.mark.parametrize(
    ("create", "uri"),
    [
        (storage_from_uri, "redis://:CANARY@host?nosuch=CANARY"),
        (RedisStorage, "redis://:CANARY@host?nosuch=CANARY"),
        (SQLAlchemyStorage, "foo://user:CANARY@host/db"),
    ],
)
def test_an_error_report_about_a_wrong_uri_shows_no_password(create: Any, uri: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        create(uri)
    # The first frame is that of this function.
    frames = TracebackException.from_exception(caught.value, capture_locals=True).stack[1:]
    assert frames
    assert "CANARY" not in str([frame.locals for frame in frames])


@pytest.mark.requirement("S9")
def test_a_socket_and_the_other_names_of_redis_work(tmp_path: Path) -> None:
    with running_redis(unixsocket=f"{tmp_path}/redis.sock") as server:
        address = server.url.removeprefix("redis://")
        uris = {f"unix://{tmp_path}/redis.sock": "/redis.sock", f"valkey://{address}": "127.0.0.1:"}
        for uri, place in uris.items():
            storage = storage_from_uri(uri)
            assert isinstance(storage, RedisStorage)
            storage.set("owner", uri)
            assert storage.get("owner") == uri
            assert place in storage.location
            storage.close()


@pytest.mark.requirement("S9")
def test_a_driver_that_is_missing_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "psycopg2", None)
    with pytest.raises(ConfigurationError, match=r"cannot be imported .*psycopg2.* Install it"):
        storage_from_uri("postgresql+psycopg2://user:word@host/db")


def _module(name: str, connect: Any, **names: Any) -> Any:
    """A driver that is not among the programs for tests, with the function of the real one."""
    module: Any = ModuleType(name)
    module.connect = connect
    module.__version__, module.paramstyle = "1.31.6", "format"
    module.Error = module.ProgrammingError = type("ProgrammingError", (Exception,), {})
    vars(module).update(names)
    return module


def _connect_pg8000(
    user, host="", database=None, password=None, timeout=None, ssl_context=None, tcp_keepalive=True
):  # type: ignore[no-untyped-def]
    """The parameters of pg8000 1.31, in part."""


@pytest.mark.requirement("S9")
def test_options_of_pg8000_are_taken_as_it_wants_them(monkeypatch: pytest.MonkeyPatch) -> None:
    """It takes no text, and found out at the first visitor."""
    monkeypatch.setitem(sys.modules, "pg8000", _module("pg8000", _connect_pg8000))
    url = "postgresql+pg8000://user:CANARY@host/db"
    good = f"{url}?timeout=2.5&tcp_keepalive=false&ssl_context=true"
    assert isinstance(storage_from_uri(good), SQLAlchemyStorage)
    assert drivers.connect_args("pg8000", {"timeout": "2.5", "ssl_context": "1"}) == {
        "timeout": 2.5,
        "ssl_context": True,
    }
    for option, words in {
        "timeout=soon": "does not take",
        "ssl_context=maybe": "does not take",
        "connect_timeout=2": "'pg8000' knows no option 'connect_timeout'",
    }.items():
        with pytest.raises(ConfigurationError, match=words) as raised:
            storage_from_uri(f"{url}?{option}")
        assert "CANARY" not in str(raised.value)


@pytest.mark.requirement("S9")
def test_options_of_psycopg2_are_checked(monkeypatch: pytest.MonkeyPatch) -> None:
    module = _module("psycopg2", lambda dsn=None, connection_factory=None: None)
    module.extensions = _module("psycopg2.extensions", None, make_dsn=_make_dsn(module))
    module.extensions.ISOLATION_LEVEL_AUTOCOMMIT = 0
    module.__version__ = "2.9.13"
    module.extras = ModuleType("psycopg2.extras")
    for name, each in {
        "": module,
        ".extensions": module.extensions,
        ".extras": module.extras,
    }.items():
        monkeypatch.setitem(sys.modules, f"psycopg2{name}", each)
    url = "postgresql+psycopg2://user:CANARY@host/db"
    assert isinstance(storage_from_uri(f"{url}?connect_timeout=2&port=1"), SQLAlchemyStorage)
    with pytest.raises(ConfigurationError, match="'psycopg2' knows no option 'nosuch'"):
        storage_from_uri(f"{url}?nosuch=2")


def _make_dsn(module: Any) -> Any:
    def make_dsn(dsn: str, **options: str) -> str:
        if "nosuch" in options:
            raise module.ProgrammingError('invalid connection option "nosuch"')
        return dsn

    return make_dsn


def _connect_pymysql(
    user=None,
    password="",
    host=None,
    database=None,
    client_flag=0,
    connect_timeout=10,
    read_timeout=None,
    write_timeout=None,
    ssl=None,
):  # type: ignore[no-untyped-def]
    """The parameters of PyMySQL 1.2, in part."""


@pytest.mark.requirement("S6", "S9")
def test_options_of_pymysql_are_checked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pymysql", _module("pymysql", _connect_pymysql))
    url = "mysql+pymysql://user:CANARY@host/db"
    storage = storage_from_uri(f"{url}?read_timeout=2")
    assert isinstance(storage, SQLAlchemyStorage)
    assert event.contains(storage._load_engine(), "connect", drivers.limit_mysql)
    assert isinstance(storage_from_uri(f"{url}?ssl_ca=/ca.pem"), SQLAlchemyStorage)
    for option in ("nosuch", "ssl"):
        with pytest.raises(ConfigurationError, match=f"'pymysql' knows no option '{option}'"):
            storage_from_uri(f"{url}?{option}=2")


@pytest.mark.requirement("S9")
def test_options_of_mysqlclient_are_checked(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its parameters cannot be listed. It complains of wrong ones before it connects."""

    def connect(unix_socket: str, **options: object) -> None:
        if "nosuch" in options:
            raise TypeError("'nosuch' is an invalid keyword argument for connect()")
        if "compress" not in options:
            raise module.Error(2002, "Can't connect")

    module = _module("MySQLdb", connect)
    monkeypatch.setitem(sys.modules, "MySQLdb", module)
    url = "mysql+mysqldb://user:CANARY@host:1/db"
    assert isinstance(storage_from_uri(f"{url}?read_timeout=2&compress=1"), SQLAlchemyStorage)
    with pytest.raises(ConfigurationError, match="'mysqldb' knows no option 'nosuch'") as raised:
        storage_from_uri(f"{url}?nosuch=2")
    assert "CANARY" not in str(raised.value)


@pytest.mark.requirement("S3")
def test_servers_of_one_url_share_the_time_to_connect() -> None:
    for hosts, seconds in {("a",): 5, ("a", "b"): 2, ("a,b,c",): 2, (): 5}.items():
        for query in ({"host": hosts}, {"host": ",".join(hosts)}):
            assert drivers.connect_args("psycopg", query)["connect_timeout"] == seconds
    assert "connect_timeout" not in drivers.connect_args("psycopg2", {"connect_timeout": "9"})


@pytest.mark.requirement("S6")
def test_mysql_gives_up_before_its_client_does() -> None:
    """Otherwise a statement that waits for a lock runs later, when the visitor has gone."""
    sent: list[str] = []

    class Cursor:
        def execute(self, statement: str) -> None:
            sent.append(statement)

        def close(self) -> None:
            pass

    class Connection:
        cursor = Cursor

    drivers.limit_mysql(Connection(), None)
    (statement,) = sent
    assert "innodb_lock_wait_timeout = 4, lock_wait_timeout = 4" in statement
    assert "/*M!100101 , max_statement_time = 4 */" in statement
    assert "/*!50708 , max_execution_time = 4000 */" in statement


def test_uri_that_is_no_text_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="no URI"):
        storage_from_uri(None, max_age=60)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("uri", "package"), [("sqlite://", "sqlalchemy"), ("redis://127.0.0.1", "redis")]
)
def test_missing_package_names_the_extra(
    monkeypatch: pytest.MonkeyPatch, uri: str, package: str
) -> None:
    # None there is how Python itself marks a module that must not be imported.
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(ConfigurationError, match=rf"Flask-OpenRouter\[{package}\]"):
        storage_from_uri(uri, max_age=60)


def test_drivers_are_imported_by_their_own_back_end_only() -> None:
    code = (
        "import sys; from flask_openrouter.storage import memory, redis, sqlalchemy, uri;"
        "uri.storage_from_uri('memory://', max_age=1);"
        "print([name for name in ('sqlalchemy', 'redis') if name in sys.modules])"
    )
    answer = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        check=True,
        env={"PYTHONPATH": ":".join(sys.path)},
    )
    assert answer.stdout == "[]\n"
