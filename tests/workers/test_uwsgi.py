"""uWSGI workers, which are forks of a process that has used its storage."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from functools import partial

from uwsgi_workers import uwsgi, visit


def test_uwsgi_workers_give_every_visitor_their_own_row(storage_uri: str) -> None:
    """The app has used its storage when uWSGI forks it, and Python runs no hook."""
    owners = [f"owner {number}" for number in range(150)]
    with uwsgi(3, storage_uri) as port, ThreadPoolExecutor(12) as pool:
        stored = list(pool.map(partial(visit, port, method="POST"), owners))
        seen = list(pool.map(partial(visit, port), owners * 2))
    assert [found for found, _ in stored + seen] == [f"ciphertext of {o}" for o in owners * 3]
    assert len({worker for _, worker in stored + seen}) > 1
