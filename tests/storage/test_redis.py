"""RedisStorage beyond the contract: commands, expiry, prefixes, listings."""

from __future__ import annotations

import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
import redis
import redis.asyncio
from hypothesis import given
from hypothesis import strategies as st
from polling import wait_until
from servers import RedisServer
from wire import counting_proxy

from flask_openrouter.errors import ConfigurationError
from flask_openrouter.storage import BROWSER
from flask_openrouter.storage.cipher import KeyCipher
from flask_openrouter.storage.namespace import in_namespace
from flask_openrouter.storage.record import KeyRecord
from flask_openrouter.storage.redis import RedisStorage
from flask_openrouter.storage.vault import KeyVault

RECORD = KeyRecord("sk-or-v1-" + "4" * 64, None, 1_800_000_000)
OTHER = KeyRecord("sk-or-v1-" + "5" * 64, None, 1_800_000_000)


@pytest.fixture
def storage(redis_server: RedisServer) -> Iterator[RedisStorage]:
    storage = RedisStorage(redis_server.url, max_age=1000)
    yield storage
    storage.close()


def commands_run(server: RedisServer) -> set[str]:
    """Every command that the server has run since CONFIG RESETSTAT."""
    with redis.Redis(port=server.port, decode_responses=True) as client:
        statistics = client.info("commandstats")
    return {name.removeprefix("cmdstat_") for name in statistics}


def test_each_operation_is_one_command_and_one_round_trip(redis_server: RedisServer) -> None:
    with counting_proxy(redis_server.port) as proxy:
        storage = RedisStorage(f"redis://127.0.0.1:{proxy.port}")
        storage.get("owner")
        before = proxy.round_trips
        storage.set("owner", "ciphertext")
        assert storage.get("owner") == "ciphertext"
        storage.delete("owner")
        after = proxy.round_trips
        storage.close()
    assert after - before == 3


@pytest.mark.requirement("R97")
def test_entry_expires_and_only_set_starts_its_time_anew(
    redis_server: RedisServer, storage: RedisStorage
) -> None:
    key = "openrouter:key:owner"
    storage.set("owner", "ciphertext")
    assert 990 <= int(str(redis_server.execute("TTL", key))) <= 1000
    redis_server.execute("EXPIRE", key, "100")
    storage.get("owner")
    assert int(str(redis_server.execute("TTL", key))) <= 100
    storage.set("owner", "ciphertext")
    assert int(str(redis_server.execute("TTL", key))) > 100
    redis_server.execute("PEXPIRE", key, "1")
    wait_until(lambda: storage.get("owner") is None)


@pytest.mark.requirement("R97", "A7")
def test_entries_of_browsers_expire_by_default_and_those_of_users_do_not(
    redis_server: RedisServer,
) -> None:
    storage = RedisStorage(redis_server.url)
    storage.set("browser:id", "ciphertext")
    storage.set("ada", "ciphertext")
    month = 31 * 24 * 3600
    expiry = int(str(redis_server.execute("TTL", "openrouter:key:browser%3Aid")))
    assert month - 10 <= expiry <= month
    assert redis_server.execute("TTL", "openrouter:key:ada") == -1
    storage.close()


@pytest.mark.requirement("A7")
@pytest.mark.parametrize("is_uri", [True, False])
@pytest.mark.parametrize(
    ("config", "given", "browsers", "users"),
    [
        ({}, None, 31 * 24 * 3600, -1),
        ({"OPENROUTER_KEY_MAX_AGE": 90 * 24 * 3600}, None, 90 * 24 * 3600, 90 * 24 * 3600),
        ({"OPENROUTER_KEY_MAX_AGE": 7200}, 1000, 1000, 1000),
    ],
)
def test_entries_follow_the_setting_of_the_app(
    redis_server: RedisServer,
    make_app: Any,
    is_uri: bool,
    config: dict[str, int],
    given: int | None,
    browsers: int,
    users: int,
) -> None:
    if is_uri and given is None:
        app = make_app(OPENROUTER_STORAGE_URI=redis_server.url, **config)
    else:
        app = make_app({"storage": RedisStorage(redis_server.url, max_age=given)}, **config)
    vault = app.extensions["openrouter"].vault
    for owner_id, seconds in (("browser:id", browsers), ("ada", users)):
        vault.save(owner_id, KeyRecord("sk-or-v1-canary", None, 1_800_000_000))
        expiry = int(
            str(redis_server.execute("TTL", RedisStorage(redis_server.url)._key(owner_id)))
        )
        assert seconds - 10 <= expiry <= seconds, owner_id
    vault.storage.close()


def test_apps_that_share_a_storage_object_keep_each_others_keys(
    redis_server: RedisServer, make_app: Any
) -> None:
    """The longest time counts. Each app ignores what is too old for itself."""
    storage: Any = RedisStorage(redis_server.url, prefix="shared:")
    config = {"OPENROUTER_STORAGE_URI": None}
    days = 24 * 3600
    for app_config, expected in (
        ({"OPENROUTER_KEY_MAX_AGE": 7200}, (7200, 7200)),
        ({"OPENROUTER_KEY_MAX_AGE": 3600}, (7200, 7200)),
        ({"OPENROUTER_KEY_MAX_AGE": 9000}, (9000, 9000)),
        ({}, (31 * days, -1)),
        ({"OPENROUTER_KEY_MAX_AGE": 3600}, (31 * days, -1)),
    ):
        make_app({"storage": storage}, **config, **app_config)
        for owner_id, seconds in zip((f"{BROWSER}x", "ada"), expected, strict=True):
            storage.set(owner_id, "ciphertext")
            remaining = storage._client.ttl(storage._key(owner_id))
            # time: as the server counts it, and what the calls may take.
            assert remaining == seconds or seconds - 60 < remaining < seconds, app_config
    storage.close()


@pytest.mark.requirement("R97")
def test_a_lifetime_is_at_least_a_second() -> None:
    with pytest.raises(ConfigurationError, match="max_age"):
        RedisStorage("redis://127.0.0.1", max_age=0)


@pytest.mark.requirement("R97")
def test_owner_ids_are_neither_patterns_nor_commands(
    redis_server: RedisServer, storage: RedisStorage
) -> None:
    redis_server.execute("SET", "of:the:app", "precious")
    storage.set("neighbour", "ciphertext")
    redis_server.execute("CONFIG", "RESETSTAT")
    for owner_id in ("a:b", "*", "\r\nFLUSHALL\r\n", "x y", "x\nSET a b", "%2A"):
        storage.set(owner_id, "mine")
        assert storage.get(owner_id) == "mine", owner_id
        storage.delete(owner_id)
        assert storage.get(owner_id) is None, owner_id
    commands = commands_run(redis_server)
    assert {"set", "get", "del"} <= commands
    assert not commands & {"keys", "scan", "flushall"}
    assert redis_server.execute("GET", "of:the:app") == "precious"
    assert storage.get("neighbour") == "ciphertext"


@pytest.mark.requirement("R97")
@given(
    st.sets(st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), min_size=1))
)
def test_keys_are_one_to_one_and_plain(owner_ids: set[str]) -> None:
    storage = RedisStorage("redis://127.0.0.1:1", prefix="")
    keys = {storage._key(owner_id) for owner_id in owner_ids}
    assert len(keys) == len(owner_ids)
    assert all(set(key).isdisjoint(":*?[]{}\\ \r\n") and key.isascii() for key in keys)


def test_two_prefixes_keep_two_apps_apart(redis_server: RedisServer) -> None:
    with redis.Redis(port=redis_server.port) as client:
        first, second = (RedisStorage(client, prefix=prefix) for prefix in ("a:", "a"))
        first.set("owner", "of the first")
        assert second.get("owner") is None
        second.set("owner", "of the second")
        assert first.get("owner") == "of the first"
        assert list(first.owner_ids()) == ["owner"]


def test_listing_leaves_the_keys_of_the_app_alone(
    redis_server: RedisServer, storage: RedisStorage
) -> None:
    owner_ids = {f"owner:{number}" for number in range(1200)}
    for owner_id in owner_ids:
        storage.set(owner_id, "ciphertext")
        redis_server_key = f"session:{owner_id}"
    redis_server.execute("SET", redis_server_key, "of the app")
    assert set(storage.owner_ids()) == owner_ids
    assert storage.count_owners() == len(owner_ids)


def test_planted_bytes_are_text_that_will_not_decrypt(
    redis_server: RedisServer, storage: RedisStorage
) -> None:
    with redis.Redis(port=redis_server.port) as client:
        client.set("openrouter:key:owner", b"\xff\xfe\x00")
    assert storage.get("owner") == "\ufffd\ufffd\0"


def test_connections_are_bounded_under_many_threads(
    redis_server: RedisServer, storage: RedisStorage
) -> None:
    with ThreadPoolExecutor(64) as pool:
        assert set(pool.map(storage.get, ["owner"] * 2000)) == {None}
    clients = str(redis_server.execute("CLIENT", "LIST", "TYPE", "normal")).count("id=")
    assert clients <= 20 + 1


def test_close_leaves_the_client_of_the_app_open(redis_server: RedisServer) -> None:
    with redis.Redis(port=redis_server.port) as client:
        identity = client.client_id()
        storage = RedisStorage(client)
        storage.close()
        assert client.client_id() == identity


def test_asynchronous_client_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="asyncio"):
        RedisStorage(redis.asyncio.Redis())  # type: ignore[arg-type]


def test_what_the_url_sets_wins_and_waits_are_bounded(redis_server: RedisServer) -> None:
    """A server that hangs costs a visitor as long as the operator allows, once."""
    storage = RedisStorage(f"{redis_server.url}?socket_timeout=0.2")
    storage.set("owner", "ciphertext")
    redis_server.freeze()
    try:
        started = time.monotonic()
        with pytest.raises(redis.TimeoutError):
            storage.get("owner")
        # time: twenty times what the URL says, and less than the default of 5 seconds.
        assert time.monotonic() - started < 4
    finally:
        redis_server.thaw()
    assert storage.get("owner") == "ciphertext"
    storage.close()


@pytest.mark.parametrize("namespace", [None, "shop"])
def test_another_key_in_the_place_of_one_has_a_time_of_its_own(
    redis_server: RedisServer, namespace: str | None
) -> None:
    """A key that is imported, or handed over."""
    storage: Any = RedisStorage(redis_server.url, prefix="t:")
    storage.follow(browsers=100, users=None)
    shown = in_namespace(storage, namespace) if namespace else storage
    keys = KeyVault(shown, KeyCipher([b"material"]), base_url="https://x.example")
    for owner_id, seconds in ((f"{BROWSER}x", 100), ("ada", -1)):
        keys.save(owner_id, RECORD)
        entry = storage._key(f"namespace:{namespace}:{owner_id}" if namespace else owner_id)
        storage._client.expire(entry, 7)
        assert keys.set_aside(owner_id, RECORD)
        assert 0 < storage._client.ttl(entry) <= 7
        present = keys.load(owner_id)
        assert keys.replace(owner_id, present, OTHER)
        assert storage._client.ttl(entry) in (seconds, seconds - 1, seconds - 2)
    storage.renew("ada", "something else")
    storage.close()


def test_replacing_keeps_the_expiry(redis_server: RedisServer) -> None:
    storage = RedisStorage(redis_server.url, max_age=1000)
    storage.set("owner", "old")
    redis_server.execute("EXPIRE", "openrouter:key:owner", "100")
    assert storage.replace("owner", "old", "new")
    assert redis_server.execute("TTL", "openrouter:key:owner") in (99, 100)
    storage.close()
