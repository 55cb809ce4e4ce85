"""Every server for keys when it is frozen, and when it takes no writes."""

from __future__ import annotations

import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress

import pytest
import redis
from polling import wait_until
from sqlalchemy.exc import DBAPIError
from stores import QUICK, STORES, Store

from flask_openrouter.storage import KeyStorage
from flask_openrouter.storage.sqlalchemy import SQLAlchemyStorage

#: Seconds after which a call gives up, by docs/storage.md.
LIMITS = {"PostgreSQL": 6, "MariaDB": 5, "Redis": 5, "Redis Sentinel": 2, "Redis Cluster": 7}

# pg8000 raises OSError, and a cluster an error of its own.
FAILURES = (DBAPIError, OSError, redis.RedisError, redis.exceptions.RedisClusterException)

MakeStore = Callable[[str], Store]


def assert_works(storage: KeyStorage) -> None:
    assert storage.get("old") == "ciphertext"
    storage.set("new", "other")
    assert storage.get("new") == "other"
    storage.delete("new")
    assert storage.get("new") is None


@pytest.mark.requirement("S3")
def test_a_frozen_server_is_given_up_in_time(make_store: MakeStore, every_variant: bool) -> None:
    """All at once, because it is nothing but waiting."""
    stores = {name: make_store(name) for name in (STORES if every_variant else QUICK)}
    storages = {name: store.create() for name, store in stores.items()}
    for storage in storages.values():
        storage.set("old", "ciphertext")

    def seconds_until_failure(name: str) -> float:
        started = time.monotonic()
        with pytest.raises(FAILURES):
            storages[name].get("old")
        return time.monotonic() - started

    servers = {server for store in stores.values() for server in store.processes}
    for server in servers:
        server.freeze()
    try:
        with ThreadPoolExecutor(len(stores)) as pool:
            taken = dict(zip(stores, pool.map(seconds_until_failure, stores), strict=True))
    finally:
        for server in servers:
            server.thaw()
    print({name: round(seconds, 1) for name, seconds in taken.items()})
    for name, seconds in taken.items():
        limit = next(LIMITS[kind] for kind in sorted(LIMITS, reverse=True) if name.startswith(kind))
        # time: a second try would take as long as the first.
        assert limit - 1 < seconds < 2 * limit - 0.5, name
        wait_until(lambda name=name: storages[name].get("old") == "ciphertext")  # type: ignore[misc]
        assert_works(storages[name])
