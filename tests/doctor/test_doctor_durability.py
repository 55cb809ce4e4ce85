"""Storages that work, and lose keys all the same."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy
from cases import case
from components import require
from servers import running_redis

from flask_openrouter.errors import ConfigurationError
from flask_openrouter.storage.sqlalchemy import SQLAlchemyStorage


def close(app: Any) -> None:
    app.extensions["openrouter"].vault.storage.close()


@pytest.mark.requirement("S9")
def test_a_redis_that_forgets_is_a_warning(production: Any, diagnose: Any) -> None:
    with running_redis(maxmemory="50mb", maxmemory_policy="allkeys-lru") as server:
        app = production(OPENROUTER_STORAGE_URI=server.url)
        diagnosis = diagnose(app)
        assert diagnosis.bad == {"redis_evicts": "warning", "redis_not_persistent": "warning"}
        diagnosis.says("redis_evicts", "allkeys-lru", "noeviction")
        diagnosis.says("redis_not_persistent", "restart", "appendonly")
        server.execute("CONFIG", "SET", "maxmemory-policy", "noeviction")
        server.execute("CONFIG", "SET", "save", "3600 1")
        assert diagnose(app).bad == {}
        close(app)


@pytest.mark.requirement("S9")
def test_a_redis_whose_settings_cannot_be_read_is_no_alarm(production: Any, diagnose: Any) -> None:
    """As with an account that may only read and write, or at a provider."""
    with running_redis() as server:
        server.execute("ACL", "SETUSER", "app", "on", ">hunter2", "~*", "+@all", "-config")
        url = server.url.replace("redis://", "redis://app:hunter2@")
        app = production(OPENROUTER_STORAGE_URI=url)
        assert diagnose(app).bad == {}
        close(app)


def test_redis_on_a_developer_s_machine_is_no_alarm(make_app: Any, diagnose: Any) -> None:
    with running_redis() as server:
        app = make_app(OPENROUTER_STORAGE_URI=server.url)
        assert diagnose(app).bad == {}
        close(app)


@pytest.mark.requirement("M8")
@pytest.mark.parametrize(
    "uri",
    [
        "sqlite://",
        "sqlite:///:memory:",
        "sqlite+pysqlite:///:memory:",
        "sqlite:///file:x?mode=memory&cache=shared&uri=true",
    ],
)
def test_a_database_in_memory_is_like_memory(
    uri: str, production: Any, make_app: Any, diagnose: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    for workers, severity in (("4", "problem"), ("1", "warning")):
        monkeypatch.setenv("WEB_CONCURRENCY", workers)
        app = production(OPENROUTER_STORAGE_URI=uri)
        diagnosis = diagnose(app)
        assert diagnosis.bad == {"storage_memory": severity}
        close(app)
    diagnosis.says("storage_memory", "--workers", "a database, a file or Redis")
    app = make_app(OPENROUTER_STORAGE_URI=uri)
    assert diagnose(app).bad == {}
    close(app)


@pytest.mark.requirement("P10")
def test_a_missing_encryption_key_is_a_warning(
    production: Any, make_app: Any, diagnose: Any, tmp_path: Path
) -> None:
    uri = f"sqlite:///{tmp_path}/keys.db"
    app = production(OPENROUTER_STORAGE_URI=uri, OPENROUTER_ENCRYPTION_KEY=None)
    diagnosis = diagnose(app)
    assert diagnosis.bad == {"encryption_key_missing": "warning"}
    diagnosis.says("encryption_key_missing", "SECRET_KEY", "set later", "generate-key")
    close(app)
    for other in (
        production(OPENROUTER_STORAGE_URI=uri),
        make_app(OPENROUTER_STORAGE_URI=f"sqlite:///{tmp_path}/other.db"),
    ):
        assert diagnose(other).bad == {}
        close(other)
    # Keys in cookies are lost with their browser anyway, and those in memory with the process.
    assert diagnose(production()).bad == {}
    without = production(OPENROUTER_STORAGE_URI="memory://", OPENROUTER_ENCRYPTION_KEY=None)
    assert diagnose(without).bad == {"storage_memory": "warning"}


@pytest.mark.requirement("P6")
def test_a_file_that_belongs_to_root_is_mentioned(
    production: Any, diagnose: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if os.geteuid() != 0:
        require("root", "only root can make a file that belongs to root")
    path = tmp_path / "keys.db"
    app = production(OPENROUTER_STORAGE_URI=f"sqlite:///{path}")
    diagnosis = diagnose(app)
    assert diagnosis.bad == {}
    diagnosis.says("storage_owner", str(path), "another account", "chown")
    os.chown(path, 12345, 12345)
    assert "storage_owner" not in diagnose(app).findings
    monkeypatch.setattr(os, "geteuid", lambda: 12345)
    os.chown(path, 0, 0)
    assert "storage_owner" not in diagnose(app).findings
    close(app)


@pytest.mark.requirement("P6")
def test_a_file_that_cannot_be_opened_is_named(
    production: Any, diagnose: Any, tmp_path: Path
) -> None:
    (tmp_path / "keys.db").mkdir()
    for namespace in (None, "shop"):
        app = production(
            OPENROUTER_STORAGE_URI=f"sqlite:///{tmp_path}/keys.db", OPENROUTER_NAMESPACE=namespace
        )
        diagnosis = diagnose(app)
        assert diagnosis.bad == {"storage_unreachable": "problem"}
        diagnosis.says(
            "storage_unreachable",
            f"file {tmp_path}/keys.db cannot",
            f"folder {tmp_path}.",
            "volume",
        )
        app.extensions["openrouter"].vault.storage.close()


def test_a_storage_that_says_why_it_cannot_be_used_is_quoted(
    production: Any, diagnose: Any, tmp_path: Path
) -> None:
    """Neither the SQLite file nor the owner id is the reason."""
    database = _Database(sqlalchemy.create_engine(f"sqlite:///{tmp_path}/app.db"))
    try:
        diagnosis = diagnose(production({"storage": SQLAlchemyStorage(database)}))
        assert diagnosis.bad == {"storage_unusable": "problem"}
    finally:
        database.engine.dispose()
    own = _UserTable(ConfigurationError("The column is missing. Add it."))
    diagnosis = diagnose(production({"storage": own}))
    assert diagnosis.bad == {"storage_unusable": "problem"}
    diagnosis.says("storage_unusable", "The column is missing.", "Add it.")


class _Database:
    """As Flask-SQLAlchemy's ``db``, whose migrations have not run."""

    def __init__(self, engine: sqlalchemy.Engine) -> None:
        self.engine = engine
        self.metadata = sqlalchemy.MetaData()


def test_an_engine_that_cannot_be_made_is_not_the_doctor_s_failure(
    production: Any, diagnose: Any
) -> None:
    def engine() -> sqlalchemy.Engine:
        raise OSError("hunter2")

    diagnosis = diagnose(production({"storage": SQLAlchemyStorage(engine)}))
    assert diagnosis.bad == {"storage_unreachable": "problem"}
    assert "hunter2" not in diagnosis.text


class _UserTable:
    """A column in the table of users: it has no row for an id that no user has."""

    def __init__(self, error: Exception) -> None:
        self.error = error

    def get(self, owner_id: str) -> str | None:
        raise self.error

    def set(self, owner_id: str, ciphertext: str) -> None:
        raise self.error

    def delete(self, owner_id: str) -> None:
        pass


@pytest.mark.requirement("P3")
def test_a_storage_that_raises_for_unknown_owners_is_told_so(
    production: Any, diagnose: Any
) -> None:
    """And not that its server is down."""
    for error in (
        ValueError("invalid literal for int(): hunter2"),
        LookupError("hunter2"),
        sqlalchemy.exc.NoResultFound("hunter2"),
    ):
        with case(error):
            for namespace in (None, "shop"):
                app = production({"storage": _UserTable(error)}, OPENROUTER_NAMESPACE=namespace)
                diagnosis = diagnose(app)
                assert diagnosis.bad == {"storage_refuses_ids": "warning"}
            diagnosis.says("storage_refuses_ids", type(error).__name__, "return None")
            assert "hunter2" not in diagnosis.text
    diagnosis = diagnose(production({"storage": _UserTable(OSError("hunter2"))}))
    assert diagnosis.bad == {"storage_unreachable": "problem"}
