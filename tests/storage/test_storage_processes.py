"""Several workers over one store: what one does, the others see, also after a fork."""

from __future__ import annotations

import gc
import weakref
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest
import redis
from servers import PostgreSQLServer, RedisServer
from sqlalchemy import Engine, text
from storage_worker import run_worker, start_worker

from flask_openrouter.storage import redis as redis_storage
from flask_openrouter.storage.engine import _renew, create_storage_engine
from flask_openrouter.storage.uri import storage_from_uri

BACK_ENDS = ["sqlite", "postgresql", "redis"]


@pytest.fixture
def uri(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """The URI of an empty store of the kind that the test is parametrised with."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path}/keys.db"
    if request.param == "postgresql":
        return str(request.getfixturevalue("postgresql_url"))
    server: RedisServer = request.getfixturevalue("redis_server")
    return server.url


@pytest.mark.parametrize("uri", BACK_ENDS, indirect=True)
def test_connected_on_one_worker_is_connected_and_disconnected_on_all(uri: str) -> None:
    storage = storage_from_uri(uri, max_age=60)
    storage.set("from here", "ciphertext")
    output = run_worker(
        "print(storage.get('from here'), storage.get('from nobody'))\n"
        "storage.delete('from here')\n"
        "storage.set('from there', 'other')\n"
        "storage.close()\n",
        uri,
    )
    assert output == "ciphertext None\n"
    assert storage.get("from here") is None
    assert storage.get("from there") == "other"
    storage.close()  # type: ignore[attr-defined]


@pytest.mark.parametrize("uri", BACK_ENDS, indirect=True)
def test_workers_that_start_together_all_store(uri: str) -> None:
    """All of them find no table, and all of them create it."""
    code = (
        "sys.stdin.readline()\n"
        "[storage.set(f'{sys.argv[2]} {number}', 'ciphertext') for number in range(20)]\n"
        "storage.close()\n"
    )
    workers = [start_worker(code, uri, str(number)) for number in range(4)]
    for worker in workers:
        with worker:
            output, _ = worker.communicate(timeout=60)
            assert worker.returncode == 0, output
    storage = storage_from_uri(uri, max_age=60)
    assert storage.count_owners() == 80  # type: ignore[attr-defined]
    storage.close()  # type: ignore[attr-defined]


FORK = """
storage.set("owner", "before the fork")
def work(name):
    for number in range(200):
        storage.set(name, f"{name} {number}")
        assert storage.get(name) == f"{name} {number}"
    assert storage.get("owner") == "before the fork"
child = os.fork()
work("child" if child == 0 else "parent")
if child:
    assert os.waitpid(child, 0)[1] == 0
    work("parent again, when the child has closed everything")
storage.close()
"""


@pytest.mark.parametrize("uri", BACK_ENDS, indirect=True)
def test_fork_after_the_first_use_shares_no_connection(uri: str) -> None:
    """As gunicorn with --preload does. The child ends as usual, with everything closed."""
    assert run_worker(FORK, uri) == ""


@pytest.fixture
def engine(postgresql_url: str) -> Iterator[Engine]:
    engine = create_storage_engine(postgresql_url)
    yield engine
    engine.dispose()


def test_child_takes_new_connections_and_leaves_the_old_ones_open(
    engine: Engine, postgresql: PostgreSQLServer
) -> None:
    def server_process() -> int:
        with engine.connect() as connection:
            return int(connection.execute(text("SELECT pg_backend_pid()")).scalar_one())

    before, pool = server_process(), engine.pool
    kept: list[object] = []
    _renew(weakref.ref(engine), kept)  # type: ignore[arg-type]
    after = server_process()
    gc.collect()
    living = {row[0] for row in postgresql.execute("SELECT pid FROM pg_stat_activity")}
    assert before != after
    assert {before, after} <= living
    assert kept == [pool]
    pool.dispose()


def test_child_takes_new_connections_to_redis_too(redis_server: RedisServer) -> None:
    client = redis.Redis.from_url(redis_server.url)
    before, pool = client.client_id(), client.connection_pool
    kept: list[redis.ConnectionPool] = []
    create_pool = partial(redis.ConnectionPool.from_url, redis_server.url)
    redis_storage._renew(weakref.ref(client), create_pool, kept)
    after = client.client_id()
    gc.collect()
    living = {int(entry["id"]) for entry in client.client_list()}
    assert before != after
    assert {before, after} <= living
    assert kept == [pool]
    client.close()
    pool.disconnect()


def test_client_that_is_gone_needs_no_renewal() -> None:
    kept: list[redis.ConnectionPool] = []
    reference = weakref.ref(redis.Redis())
    gc.collect()
    assert reference() is None
    redis_storage._renew(reference, redis.ConnectionPool, kept)
    assert kept == []


def test_engine_that_is_gone_needs_no_renewal() -> None:
    kept: list[object] = []
    reference = weakref.ref(create_storage_engine("sqlite://"))
    gc.collect()
    assert reference() is None
    _renew(reference, kept)  # type: ignore[arg-type]
    assert kept == []
