"""OPENROUTER_STORAGE_URI: the storage that it names, and the errors for mistakes in it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from servers import PostgreSQLServer, RedisServer

from flask_openrouter.errors import ConfigurationError
from flask_openrouter.storage import KeyStorage, ListableStorage
from flask_openrouter.storage.memory import MemoryStorage
from flask_openrouter.storage.redis import RedisStorage
from flask_openrouter.storage.sqlalchemy import SQLAlchemyStorage
from flask_openrouter.storage.uri import storage_from_uri


def test_scheme_picks_the_back_end_and_nothing_connects_yet() -> None:
    cases: list[tuple[str, type]] = [
        ("memory://", MemoryStorage),
        ("redis://user:word@127.0.0.1:1/0", RedisStorage),
        ("rediss://127.0.0.1:1", RedisStorage),
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
    "postgresql+psycopg2://user:CANARY@host/db": "cannot be imported .*psycopg2.* Install it",
    "postgresql+asyncpg://user:CANARY@host/db": "'asyncpg' is asynchronous",
    "sqlite://keys.db": "three slashes",
    "sqlite:////nowhere/at/all/keys.db": "folder '/nowhere/at/all' .* does not exist",
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
