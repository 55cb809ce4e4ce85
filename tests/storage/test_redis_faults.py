"""A Redis that is down, full, read-only or full of other data: an error, and nothing is lost."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import redis
from servers import RedisServer, running_redis
from wire import counting_proxy

from flask_openrouter.storage.redis import RedisStorage


@pytest.fixture
def redis_storage(redis_server: RedisServer) -> Iterator[RedisStorage]:
    storage = RedisStorage(redis_server.url)
    storage.set("old", "ciphertext")
    yield storage
    storage.close()


def assert_works(storage: RedisStorage) -> None:
    assert storage.get("old") == "ciphertext"
    storage.set("new", "other")
    assert storage.get("new") == "other"
    storage.delete("new")
    assert storage.get("new") is None


@pytest.mark.requirement("R97")
def test_redis_out_of_memory(redis_server: RedisServer, redis_storage: RedisStorage) -> None:
    redis_server.execute("CONFIG", "SET", "maxmemory-policy", "noeviction")
    redis_server.execute("CONFIG", "SET", "maxmemory", "1")
    for owner_id in ("old", "new"):
        with pytest.raises(redis.exceptions.OutOfMemoryError):
            redis_storage.set(owner_id, "x")
    assert redis_storage.get("old") == "ciphertext"
    assert redis_storage.get("new") is None
    redis_storage.delete("new")
    redis_server.execute("CONFIG", "SET", "maxmemory", "0")
    assert_works(redis_storage)


@pytest.mark.requirement("R97")
def test_redis_that_became_a_replica(
    redis_server: RedisServer, redis_storage: RedisStorage
) -> None:
    redis_server.execute("REPLICAOF", "127.0.0.1", "1")
    with pytest.raises(redis.exceptions.ReadOnlyError):
        redis_storage.set("old", "other")
    with pytest.raises(redis.exceptions.ReadOnlyError):
        redis_storage.delete("old")
    assert redis_storage.get("old") == "ciphertext"
    redis_server.execute("REPLICAOF", "NO", "ONE")
    assert_works(redis_storage)


@pytest.mark.requirement("R97")
def test_redis_key_of_another_kind(redis_server: RedisServer, redis_storage: RedisStorage) -> None:
    """Somebody else's list under our name fails the read, and gives way to a new entry."""
    for replace in (lambda: redis_storage.set("new", "x"), lambda: redis_storage.delete("new")):
        redis_server.execute("DEL", "openrouter:key:new")
        redis_server.execute("LPUSH", "openrouter:key:new", "x")
        with pytest.raises(redis.ResponseError, match="WRONGTYPE"):
            redis_storage.get("new")
        replace()
        assert_works(redis_storage)


@pytest.mark.requirement("R97")
def test_redis_killed_and_started_again(
    redis_server: RedisServer, redis_storage: RedisStorage
) -> None:
    redis_server.kill()
    for use in (redis_storage.get, redis_storage.delete):
        with pytest.raises(redis.ConnectionError):
            use("old")
    with pytest.raises(redis.ConnectionError):
        redis_storage.set("old", "other")
    redis_server.start()
    assert_works(redis_storage)


def test_redis_restart_between_two_visitors_is_not_noticed(
    redis_server: RedisServer, redis_storage: RedisStorage
) -> None:
    for end in (redis_server.kill, redis_server.stop):
        end()
        redis_server.start()
        assert redis_storage.get("old") == "ciphertext"
        redis_server.execute("CLIENT", "KILL", "TYPE", "normal")
        assert_works(redis_storage)


@pytest.mark.requirement("S4")
@pytest.mark.parametrize("is_own", [True, False])
def test_a_connection_to_a_former_primary_is_replaced(
    redis_server: RedisServer, is_own: bool
) -> None:
    """A fail-over behind one address: the pooled connection leads to a server that only reads."""
    with running_redis() as former, counting_proxy(former.port) as address:
        client = redis.Redis(port=address.port)
        storage = RedisStorage(f"redis://127.0.0.1:{address.port}" if is_own else client)
        storage.set("old", "ciphertext")
        former.execute("REPLICAOF", "127.0.0.1", "1")
        redis_server.execute("SET", "openrouter:key:old", "ciphertext")
        address.target = redis_server.port
        if not is_own:
            # Its retries are its own. What matters is that it is not stuck.
            with pytest.raises(redis.exceptions.ReadOnlyError):
                storage.set("old", "ciphertext")
        assert storage.replace("old", "ciphertext", "ciphertext")
        assert_works(storage)
        storage.close()
        client.close()


@pytest.mark.requirement("S4")
def test_a_client_without_a_pool_reports_a_read_only_server() -> None:
    """RedisCluster has no pool of its own."""

    class Cluster:
        def delete(self, key: str) -> None:
            raise redis.exceptions.ReadOnlyError

    storage = RedisStorage(Cluster())  # type: ignore[arg-type]
    assert storage.location == "Cluster, keys openrouter:key:*"
    with pytest.raises(redis.exceptions.ReadOnlyError):
        storage.delete("owner")
