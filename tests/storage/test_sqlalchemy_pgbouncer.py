"""PostgreSQL behind PgBouncer, whose clients share connections to the server."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest
from servers import PgBouncerServer
from sqlalchemy import create_engine, text
from storage_worker import output_of, start_worker

from flask_openrouter.storage.sqlalchemy import SQLAlchemyStorage

USE = """
from concurrent.futures import ThreadPoolExecutor

worker = sys.argv[2]

def use(thread):
    owners = [f"{worker} {thread} {name}" for name in ("ada", "bob")]
    for number in range(20):
        for owner in owners:
            storage.set(owner, f"{owner} {number}")
        for owner in owners:
            assert storage.get(owner) == f"{owner} {number}"
        assert storage.get("victim") == "ciphertext of the victim"
        storage.delete(owners[0])
        assert storage.get(owners[0]) is None

with ThreadPoolExecutor(4) as pool:
    list(pool.map(use, range(4)))
storage.close()
"""


@pytest.mark.requirement("S1")
def test_threads_and_processes_lose_and_mix_up_no_row(
    pgbouncer: PgBouncerServer, postgresql_url: str
) -> None:
    """A prepared statement of one client would run as another one's statement of that name."""
    url = pgbouncer.through(postgresql_url)
    storage = SQLAlchemyStorage(url)
    storage.set("victim", "ciphertext of the victim")
    workers = [start_worker(USE, url, str(number)) for number in range(3)]
    for worker in workers:
        output_of(worker)
    assert storage.get("victim") == "ciphertext of the victim"
    kept = {f"{worker} {thread} bob" for worker in range(3) for thread in range(4)}
    assert set(storage.owner_ids()) == {"victim", *kept}
    storage.close()


def test_time_limit_is_not_left_behind_for_other_clients(
    pgbouncer: PgBouncerServer, postgresql_url: str
) -> None:
    """SET would stay on a connection to the server, and end a migration of the app's."""
    url = pgbouncer.through(postgresql_url)
    storage = SQLAlchemyStorage(url)
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(storage.get, ["owner"] * 64))
    app = create_engine(url, connect_args={"prepare_threshold": None})
    with app.connect() as connection:
        assert connection.execute(text("SHOW statement_timeout")).scalar() == "0"
    app.dispose()
    storage.close()
