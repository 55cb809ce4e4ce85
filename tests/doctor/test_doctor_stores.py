"""Servers for keys that are down, frozen, read-only or full: the doctor names the cause."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import redis
import sqlalchemy
from cases import case
from redis import exceptions
from redis.backoff import NoBackoff
from redis.cluster import RedisCluster
from redis.retry import Retry
from servers import PgBouncerServer, RedisServer, free_port
from stores import Store, each_of

from flask_openrouter.doctor.storage_causes import cause_of
from flask_openrouter.storage.redis import RedisStorage
from flask_openrouter.storage.sqlalchemy import SQLAlchemyStorage

MARIADB = ("MariaDB, PyMySQL", "MariaDB, mysqlclient")
#: Messages of drivers and servers, and a word of the cause that they have.
MESSAGES = {
    'FATAL:  password authentication failed for user "app"': "password",
    "(1045, \"Access denied for user 'app'@'127.0.0.1' (using password: YES)\")": "password",
    "invalid username-password pair or user is disabled.": "password",
    "{'S': 'FATAL', 'C': '28P01'}": "password",
    'FATAL:  database "keys" does not exist': "no database",
    "(1049, \"Unknown database 'keys'\")": "no database",
    "FATAL:  sorry, too many clients already": "no free connection",
    "(1040, 'Too many connections')": "no free connection",
    "ERR max number of clients reached": "no free connection",
    'could not translate host name "db" to address: Name or service not known': "host name",
    "(2005, \"Unknown server host 'db' (-2)\")": "host name",
    "(2003, \"Can't connect to server on '127.0.0.1' (111)\")": "Nothing listens",
    "Error 111 connecting to 127.0.0.1:1. Connection refused.": "Nothing listens",
    "(2013, 'Lost connection to MySQL server during query (timed out)')": "in time",
    "connection timeout expired": "in time",
    "the server did not answer in time": "in time",
    "(1205, 'Lock wait timeout exceeded; try restarting transaction')": "in time",
    "(1290, 'The MariaDB server is running with the --read-only option')": "takes no writes",
    "cannot execute DELETE in a read-only transaction": "takes no writes",
    "You can't write against a read only replica.": "takes no writes",
    "command not allowed when used memory > 'maxmemory'. OOM": "full",
    "(1114, \"The table 'openrouter_keys' is full\")": "full",
    "CLUSTERDOWN Hash slot not served": "cluster is down",
    "this user has no permissions to run the 'eval' command": "may not run",
    "No master found for 'keys'": "sentinels",
}


def close(app: Any) -> None:
    app.extensions["openrouter"].vault.storage.close()


def test_the_words_of_each_driver_are_known() -> None:
    for message, word in MESSAGES.items():
        with case(message):
            found = cause_of(OSError(message))
            assert found is not None
            assert word in found[0]
    assert cause_of(exceptions.TimeoutError()) == cause_of(TimeoutError("in time"))
    assert cause_of(OSError("something else")) is None
    assert cause_of(None) is None


@pytest.mark.requirement("S3", "S9")
def test_the_cause_is_named(production: Any, diagnose: Any, redis_server: RedisServer) -> None:
    """And the error is not quoted, which may hold a password."""
    redis_server.execute(
        *("ACL", "SETUSER", "app", "on", ">hunter2", "~*", "+@read", "+ping", "-@write")
    )
    address = f"127.0.0.1:{redis_server.port}"
    for uri, code, words in (
        (f"redis://:hunter2@127.0.0.1:{free_port()}", "storage_unreachable", "Nothing listens"),
        (f"redis://hunter2:wrong@{address}", "storage_unreachable", "account or its password"),
        (f"redis://app:hunter2@{address}", "storage_not_written", "+eval"),
    ):
        with case(uri):
            app = production(OPENROUTER_STORAGE_URI=uri)
            diagnosis = diagnose(app)
            assert diagnosis.bad[code] == "problem"
            diagnosis.says(code, words)
            assert "hunter2" not in diagnosis.text
            close(app)
    redis_server.execute("ACL", "DELUSER", "app")


@pytest.mark.requirement("S4")
@pytest.mark.parametrize(
    "store", each_of("MariaDB, PyMySQL", "MariaDB, mysqlclient"), indirect=True
)
def test_a_mariadb_that_is_read_only_or_down(production: Any, diagnose: Any, store: Store) -> None:
    app = production(OPENROUTER_STORAGE_URI=store.address)
    store.server.execute("SET GLOBAL read_only = 1")
    try:
        # Without a table, and with one.
        diagnosis = diagnose(app)
        diagnosis.says("storage_unreachable", "takes no writes", "primary")
    finally:
        store.server.execute("SET GLOBAL read_only = 0")
    assert diagnose(app).bad == {}
    store.server.execute("SET GLOBAL read_only = 1")
    try:
        diagnose(app).says("storage_not_written", "takes no writes", "primary")
    finally:
        store.server.execute("SET GLOBAL read_only = 0")
    store.server.kill()
    diagnose(app).says("storage_unreachable", "Nothing listens", "Start the server")
    close(app)


@pytest.mark.requirement("S3")
def test_a_client_of_the_app_that_waits_long(
    production: Any, diagnose: Any, redis_server: RedisServer
) -> None:
    for timeout, tries, word in ((2, 9, "20 seconds"), (None, 0, "for ever"), (2, 1, None)):
        with (
            case(timeout, tries),
            redis.Redis(
                port=redis_server.port, socket_timeout=timeout, retry=Retry(NoBackoff(), tries)
            ) as client,
        ):
            diagnosis = diagnose(production({"storage": RedisStorage(client)}))
            assert diagnosis.bad == ({"redis_waits": "warning"} if word else {})
            if word:
                diagnosis.says("redis_waits", word, "socket_timeout")


@pytest.mark.every_variant
@pytest.mark.requirement("S3")
@pytest.mark.parametrize("store", ["Redis Sentinel", "Redis Cluster"], indirect=True)
def test_clients_as_documented_do_not_wait_long(
    production: Any, diagnose: Any, store: Store
) -> None:
    app = production({"storage": store.create()})
    assert diagnose(app).bad == {"redis_not_persistent": "warning"}
    if store.address.startswith("cluster"):
        with RedisCluster("127.0.0.1", store.server.processes[0].port, socket_timeout=2) as client:
            app = production({"storage": RedisStorage(client)})
            assert "redis_waits" in diagnose(app).bad


@pytest.mark.requirement("S1")
@pytest.mark.parametrize("pgbouncer", ["transaction"], indirect=True)
def test_an_engine_of_the_app_that_prepares_behind_a_pooler(
    production: Any, diagnose: Any, pgbouncer: PgBouncerServer, postgresql_url: str
) -> None:
    def engine_at(url: str, **options: Any) -> sqlalchemy.Engine:
        return sqlalchemy.create_engine(url, connect_args=options)

    through = pgbouncer.through(postgresql_url)
    engines: dict[Callable[[], sqlalchemy.Engine], bool] = {
        lambda: engine_at(through): True,
        lambda: engine_at(through, prepare_threshold=None): False,
        lambda: engine_at(postgresql_url): False,
    }
    for make, is_warned in engines.items():
        engine = make()
        diagnosis = diagnose(production({"storage": SQLAlchemyStorage(engine)}))
        assert diagnosis.bad == ({"prepared_statements": "warning"} if is_warned else {})
        engine.dispose()
    # The storage's own engine prepares nothing.
    app = production(OPENROUTER_STORAGE_URI=through)
    assert diagnose(app).bad == {}
    close(app)
