"""Processes that share one storage, also when they are forks of one that has used it."""

from __future__ import annotations

import gc
import weakref

import pytest
from servers import PostgreSQLServer
from sqlalchemy import text
from storage_worker import output_of, run_worker, start_worker
from stores import STORES, Store, each_of

from flask_openrouter.storage.engine import OwnEngine
from flask_openrouter.storage.uri import storage_from_uri


def test_connected_on_one_worker_is_connected_and_disconnected_on_all(storage_uri: str) -> None:
    storage = storage_from_uri(storage_uri, max_age=60)
    storage.set("from here", "ciphertext")
    output = run_worker(
        "print(storage.get('from here'), storage.get('from nobody'))\n"
        "storage.delete('from here')\n"
        "storage.set('from there', 'other')\n"
        "storage.close()\n",
        storage_uri,
    )
    assert output == "ciphertext None\n"
    assert storage.get("from here") is None
    assert storage.get("from there") == "other"
    storage.close()  # type: ignore[attr-defined]


def test_workers_that_start_together_all_store(storage_uri: str) -> None:
    """Each of them finds no table, and creates it."""
    code = (
        "sys.stdin.readline()\n"
        "[storage.set(f'{sys.argv[2]} {number}', 'ciphertext') for number in range(20)]\n"
        "storage.close()\n"
    )
    workers = [start_worker(code, storage_uri, str(number)) for number in range(4)]
    for worker in workers:
        output_of(worker)
    storage = storage_from_uri(storage_uri, max_age=60)
    assert storage.count_owners() == 80  # type: ignore[attr-defined]
    storage.close()  # type: ignore[attr-defined]


FORK = """
import warnings
storage.set("owner", "before the fork")
def work(name):
    for number in range(200):
        storage.set(name, f"{name} {number}")
        assert storage.get(name) == f"{name} {number}"
    assert storage.get("owner") == "before the fork"
child = os.fork()
if child == 0:
    # redis-py leaves the parent's connections to the garbage collector of the child.
    warnings.simplefilter("ignore", ResourceWarning)
work("child" if child == 0 else "parent")
if child:
    assert os.waitpid(child, 0)[1] == 0
    work("parent again, when the child has closed everything")
storage.close()
"""


def test_fork_after_the_first_use_shares_no_connection(storage_uri: str) -> None:
    """gunicorn forks so with --preload. The child closes everything when it ends."""
    assert run_worker(FORK, storage_uri) == ""


FORK_IN_C = """
import ctypes, traceback

def work(name):
    for number in range(500):
        storage.set(name, f"{name} {number}")
        assert storage.get(name) == f"{name} {number}"
    assert storage.get("owner") == "before the fork"

storage.set("owner", "before the fork")
children = []
for number in range(2):
    # The C library's fork: Python's hooks after a fork are not run.
    child = ctypes.PyDLL(None).fork()
    if child == 0:
        status = 1
        try:
            work(f"child {number}")
            storage.close()
            status = 0
        except BaseException:
            traceback.print_exc()
        finally:
            os._exit(status)
    children.append(child)
work("parent")
assert [os.waitpid(child, 0)[1] for child in children] == [0, 0]
work("parent again, when the children have closed everything")
storage.close()
"""


def test_fork_by_the_c_library_shares_no_connection(storage_uri: str) -> None:
    """uWSGI forks so without lazy-apps: Python runs no hook."""
    assert run_worker(FORK_IN_C, storage_uri) == ""


@pytest.mark.requirement("S2")
@pytest.mark.parametrize("store", each_of(*STORES[2:]), indirect=True)
def test_a_fork_without_hooks_shares_no_connection_to_any_server(store: Store) -> None:
    """Three workers, which share one store."""
    assert run_worker(FORK_IN_C.replace("500", "100"), store.address) == ""


def test_child_takes_new_connections_and_leaves_the_old_ones_open(
    postgresql: PostgreSQLServer, postgresql_url: str
) -> None:
    engine = OwnEngine(postgresql_url)

    def server_process() -> int:
        with engine().connect() as connection:
            return int(connection.execute(text("SELECT pg_backend_pid()")).scalar_one())

    before = server_process()
    inherited = weakref.ref(engine().pool)
    # A fork copies the parent's memory, and this with it.
    engine._pid += 1
    after = server_process()
    assert after == server_process() != before
    engine().dispose()
    gc.collect()
    living = {row[0] for row in postgresql.execute("SELECT pid FROM pg_stat_activity")}
    assert before in living
    pool = inherited()
    assert pool is not None
    pool.dispose()


def test_database_in_memory_is_copied_by_a_fork() -> None:
    output = run_worker(
        "storage.set('owner', 'before')\n"
        "if child := os.fork():\n"
        "    assert os.waitpid(child, 0)[1] == 0\n"
        "assert storage.get('owner') == 'before'\n"
        "storage.set('owner', 'after')\n"
        "storage.close()\n",
        "sqlite://",
    )
    assert output == ""
