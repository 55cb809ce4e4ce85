"""Storages that are down, read-only or without a table, or hold keys that cannot be decrypted."""

from __future__ import annotations

import base64
import secrets
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy
from bare_storage import Bare
from cases import case
from components import require
from ports import free_port
from servers import PostgreSQLServer, RedisServer

from flask_openrouter.errors import KeyStorageError
from flask_openrouter.services import Services
from flask_openrouter.storage.memory import MemoryStorage
from flask_openrouter.storage.record import KeyRecord
from flask_openrouter.storage.sqlalchemy import SQLAlchemyStorage

KEY = "sk-or-v1-" + "0123456789abcdef" * 4


def services_of(app: Any) -> Services:
    services: Services = app.extensions["openrouter"]
    return services


def close(app: Any) -> None:
    services_of(app).vault.storage.close()  # type: ignore[attr-defined]


# -- storages without findings -------------------------------------------------------------------


def test_the_cookie_storage_is_ok(production: Any, diagnose: Any) -> None:
    diagnosis = diagnose(production())
    assert diagnosis.findings["storage_cookie"]["severity"] == "ok"


def test_a_database_is_not_changed(production: Any, diagnose: Any, tmp_path: Path) -> None:
    app = production(OPENROUTER_STORAGE_URI=f"sqlite:///{tmp_path}/keys.db")
    services_of(app).vault.save("alice", KeyRecord(KEY, None, 1))
    diagnosis = diagnose(app)
    storage = services_of(app).vault.storage
    assert diagnosis.bad == {}
    assert list(storage.owner_ids()) == ["alice"]  # type: ignore[attr-defined]
    assert KEY not in diagnosis.text
    close(app)


def test_a_custom_storage_that_cannot_list_is_accepted(production: Any, diagnose: Any) -> None:
    assert diagnose(production({"storage": Bare()})).bad == {}
    assert diagnose(production({"storage": Bare(), "encrypt": False})).bad == {}


def test_redis_is_not_changed_and_reported_when_it_is_down(
    production: Any, diagnose: Any, redis_server: RedisServer
) -> None:
    app = production(OPENROUTER_STORAGE_URI=redis_server.url)
    assert diagnose(app).bad == {}
    assert redis_server.execute("DBSIZE") == 0
    redis_server.execute("CONFIG", "SET", "min-replicas-to-write", "1")
    diagnosis = diagnose(app)
    assert diagnosis.bad == {"storage_not_written": "problem"}
    redis_server.kill()
    diagnosis = diagnose(app)
    assert diagnosis.bad == {"storage_unreachable": "problem"}
    diagnosis.says("storage_unreachable", "(ConnectionError)", "OPENROUTER_STORAGE_URI")
    close(app)


@pytest.mark.requirement("A12")
def test_keys_from_before_the_namespace_are_noticed(production: Any, diagnose: Any) -> None:
    storage = MemoryStorage()
    for namespace in (None, "shop", "other"):
        app = production({"storage": storage}, OPENROUTER_NAMESPACE=namespace)
        services_of(app).vault.save("alice", KeyRecord(KEY, None, 1))
    without = diagnose(production({"storage": storage}))
    assert "keys_without_namespace" not in without.bad
    assert without.bad["keys_of_other_namespaces"] == "warning"
    without.says("keys_of_other_namespaces", "'other', 'shop'", "set OPENROUTER_NAMESPACE again")
    diagnosis = diagnose(production({"storage": storage}, OPENROUTER_NAMESPACE="shop"))
    assert diagnosis.bad["keys_without_namespace"] == "warning"
    assert "keys_of_other_namespaces" not in diagnosis.bad
    diagnosis.says("keys_without_namespace", "1 in the sample", "remove OPENROUTER_NAMESPACE")


# -- memory --------------------------------------------------------------------------------------


def test_memory_in_production_is_a_warning(production: Any, diagnose: Any) -> None:
    diagnosis = diagnose(production(OPENROUTER_STORAGE_URI="memory://"))
    assert diagnosis.bad == {"storage_memory": "warning"}


def test_memory_in_development_is_accepted(make_app: Any, diagnose: Any) -> None:
    assert diagnose(make_app(OPENROUTER_STORAGE_URI="memory://")).bad == {}


@pytest.mark.parametrize(
    ("name", "value", "severity"),
    [
        ("WEB_CONCURRENCY", "4", "problem"),
        ("WEB_CONCURRENCY", "1", "warning"),
        ("WEB_CONCURRENCY", "many", "warning"),
        ("GUNICORN_CMD_ARGS", "--bind :80 --workers=3", "problem"),
        ("GUNICORN_CMD_ARGS", "-w 2", "problem"),
        ("GUNICORN_CMD_ARGS", "--bind :80", "warning"),
    ],
)
def test_memory_with_several_workers_is_a_problem(
    name: str,
    value: str,
    severity: str,
    production: Any,
    diagnose: Any,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv(name, value)
    diagnosis = diagnose(production(OPENROUTER_STORAGE_URI="memory://"))
    assert diagnosis.bad == {"storage_memory": severity}


# -- databases -----------------------------------------------------------------------------------


def test_a_database_that_is_down_is_a_problem(production: Any, diagnose: Any) -> None:
    url = f"postgresql+psycopg://somebody:hunter2@127.0.0.1:{free_port()}/keys"
    app = production(OPENROUTER_STORAGE_URI=url)
    diagnosis = diagnose(app)
    assert diagnosis.bad == {"storage_unreachable": "problem"}
    diagnosis.says("storage_unreachable", "cannot be read (OperationalError)")
    assert "hunter2" not in diagnosis.text
    close(app)


@pytest.mark.requirement("W16")
def test_a_storage_that_cannot_be_used_says_why(production: Any, diagnose: Any) -> None:
    storage = SQLAlchemyStorage(lambda: sqlalchemy.create_engine("sqlite://"))
    diagnosis = diagnose(production({"storage": storage}))
    assert diagnosis.bad["storage_unusable"] == "problem"
    diagnosis.says("storage_unusable", "shares one connection", "Use a database file")


def test_a_table_that_cannot_be_created_is_a_problem(
    production: Any, diagnose: Any, postgresql: PostgreSQLServer
) -> None:
    url = _url_of_a_guest(postgresql)
    app = production(OPENROUTER_STORAGE_URI=url)
    diagnosis = diagnose(app)
    assert diagnosis.bad == {"storage_table_missing": "problem"}
    diagnosis.says("storage_table_missing", "(InsufficientPrivilege)", "create_table()")
    assert "hunter2" not in diagnosis.text
    close(app)


def test_a_read_only_table_is_a_problem(
    production: Any, diagnose: Any, postgresql: PostgreSQLServer
) -> None:
    url = _url_of_a_guest(postgresql)
    name = url.rpartition("/")[2]
    owner = SQLAlchemyStorage(postgresql.database_url(name))
    owner.create_table()
    owner.close()
    postgresql.execute("GRANT SELECT ON openrouter_keys TO guest", database=name)
    app = production(OPENROUTER_STORAGE_URI=url)
    diagnosis = diagnose(app)
    assert diagnosis.bad == {"storage_not_written": "problem"}
    diagnosis.says("storage_not_written", "(InsufficientPrivilege)", "insert, update and delete")
    close(app)


def _url_of_a_guest(server: PostgreSQLServer) -> str:
    """Return the URL of a new database for an account without rights."""
    owner_url = sqlalchemy.make_url(server.create_database())
    if not server.execute("SELECT 1 FROM pg_roles WHERE rolname = 'guest'"):
        server.execute("CREATE ROLE guest LOGIN PASSWORD 'hunter2'")
    server.execute("REVOKE CREATE ON SCHEMA public FROM PUBLIC", database=owner_url.database or "")
    guest_url = owner_url.set(username="guest", password="hunter2")
    return guest_url.render_as_string(hide_password=False)


@pytest.mark.requirement("W14")
def test_a_table_that_flask_migrate_would_drop_is_a_warning(
    production: Any, diagnose: Any, tmp_path: Path
) -> None:
    if find_spec("flask_migrate") is None:
        require("Flask-Migrate", "not installed (pip install --group test)")
    from flask_migrate import Migrate
    from flask_sqlalchemy import SQLAlchemy

    url, other = (f"sqlite:///{tmp_path}/{name}.db" for name in ("app", "keys"))
    owned: Any = SQLAlchemy()
    own_engine = sqlalchemy.create_engine(url)

    def is_warned(storage: Any, db: Any, **arguments: Any) -> bool:
        app = production({"storage": storage}, SQLALCHEMY_DATABASE_URI=url)
        db.init_app(app)
        with app.app_context():
            db.create_all()
        Migrate(app, db, **arguments)
        diagnosis = diagnose(app)
        assert diagnosis.bad.keys() <= {"migrations_drop_keys"}
        return "migrations_drop_keys" in diagnosis.bad

    for storage in (SQLAlchemyStorage(url), SQLAlchemyStorage(own_engine)):
        assert is_warned(storage, SQLAlchemy())
        assert not is_warned(storage, SQLAlchemy(), include_name=print)
        storage.close()
    assert not is_warned(SQLAlchemyStorage(owned), owned)
    assert not is_warned(SQLAlchemyStorage(other), SQLAlchemy())
    own_engine.dispose()


# -- keys that cannot be decrypted ---------------------------------------------------------------


def test_keys_under_another_encryption_key_are_a_problem(
    production: Any, diagnose: Any, tmp_path: Path
) -> None:
    uri = f"sqlite:///{tmp_path}/keys.db"
    old = production(OPENROUTER_STORAGE_URI=uri)
    for number in range(3):
        services_of(old).vault.save(f"user {number}", KeyRecord(KEY, None, 1))
    close(old)
    other_key = base64.urlsafe_b64encode(secrets.token_bytes(32)).decode()
    new = production(OPENROUTER_STORAGE_URI=uri, OPENROUTER_ENCRYPTION_KEY=other_key)
    diagnosis = diagnose(new)
    assert diagnosis.bad == {"stored_keys_unreadable": "problem"}
    diagnosis.says(
        "stored_keys_unreadable", "Of 3 stored keys", "3 cannot be decrypted", "fallbacks"
    )
    services_of(new).vault.save("bob", KeyRecord(KEY, None, 1))
    diagnosis = diagnose(new)
    assert diagnosis.bad == {"stored_keys_unreadable": "warning"}
    diagnosis.says("stored_keys_unreadable", "Of 4 stored keys", "3 cannot be decrypted")
    close(new)


@pytest.mark.parametrize(
    ("count", "rotated", "looked_at"),
    [(120, 60, 31), (120, 119, 31), (50, 49, 50), (4000, 3999, 33)],
)
def test_a_rotation_that_was_interrupted_is_found_wherever_it_ended(
    count: int, rotated: int, looked_at: int, production: Any, diagnose: Any
) -> None:
    """It walks in the order of the listing, so the first keys open and the last one does not."""
    storage = MemoryStorage()
    app = production({"storage": storage})
    for number in range(count):
        storage.set(f"user {number:04}", "of the older key")
    for number in range(rotated):
        services_of(app).vault.save(f"user {number:04}", KeyRecord(KEY, None, 1))
    diagnosis = diagnose(app)
    assert diagnosis.bad["stored_keys_unreadable"] == "warning"
    diagnosis.says("stored_keys_unreadable", f"Of {looked_at} stored keys in the sample")


def test_the_sample_of_a_long_listing_is_of_its_first_part(
    production: Any, diagnose: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The time for it is bounded."""
    monkeypatch.setattr("flask_openrouter.doctor.storage.LISTED", 3)
    storage = MemoryStorage()
    for number in range(9):
        storage.set(f"user {number}", "of another key")
    diagnosis = diagnose(production({"storage": storage}))
    diagnosis.says("stored_keys_unreadable", "Of 3 stored keys in the sample, 3 cannot")


def test_an_owner_who_disconnects_during_the_check_is_ignored(
    production: Any, diagnose: Any
) -> None:
    class Leaving(Bare):
        def owner_ids(self, after: str | None = None) -> Iterator[str]:
            yield "disconnected"

        def count_owners(self) -> int:
            return 1

    assert diagnose(production({"storage": Leaving()})).bad == {}


# -- storages with mistakes ----------------------------------------------------------------------


class _Forgetful(Bare):
    def set(self, owner_id: str, ciphertext: str) -> None:
        pass


class _ForUsersOnly(Bare):
    def set(self, owner_id: str, ciphertext: str) -> None:
        raise LookupError("hunter2")


class _Unforgetting(Bare):
    def delete(self, owner_id: str) -> None:
        pass


class _Stuck(Bare):
    def delete(self, owner_id: str) -> None:
        raise OSError("hunter2")


class _ReadOnlyMemory(MemoryStorage):
    def set(self, owner_id: str, ciphertext: str) -> None:
        raise OSError("hunter2")


def test_a_storage_with_a_mistake_is_reported(production: Any, diagnose: Any) -> None:
    for storage, code, severity, words in [
        (_Forgetful, "storage_not_written", "warning", "read back"),
        (_ForUsersOnly, "storage_not_written", "warning", "(LookupError)"),
        (_Stuck, "storage_not_written", "warning", "(OSError)"),
        (_ReadOnlyMemory, "storage_not_written", "warning", "(OSError)"),
        (_Unforgetting, "storage_keeps_deleted", "problem", "delete()"),
    ]:
        with case(storage, code, severity, words):
            diagnosis = diagnose(production({"storage": storage()}))
            assert diagnosis.bad[code] == severity
            diagnosis.says(code, words)
            assert "hunter2" not in diagnosis.text


def test_a_storage_that_cannot_be_read_is_a_problem(production: Any, diagnose: Any) -> None:
    class Down(Bare):
        def get(self, owner_id: str) -> str | None:
            raise KeyStorageError("hunter2")

    for encrypt, reason in (
        (True, "cannot be read (KeyStorageError)."),
        (False, "cannot be read."),
    ):
        diagnosis = diagnose(production({"storage": Down(), "encrypt": encrypt}))
        assert diagnosis.bad == {"storage_unreachable": "problem"}
        diagnosis.says("storage_unreachable", reason)
        assert "hunter2" not in diagnosis.text
