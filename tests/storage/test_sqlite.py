"""An SQLite file: where it is made, who may read it, and one that is in the wrong folder."""

from __future__ import annotations

import os
import sqlite3
import stat
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from flask import Flask

from flask_openrouter import OpenRouterAuth
from flask_openrouter.errors import ConfigurationError
from flask_openrouter.storage.record import KeyRecord
from flask_openrouter.storage.sqlalchemy import SQLAlchemyStorage

RECORD = KeyRecord("sk-or-v1-canary-canary", None, 1_800_000_000)

MakeApp = Callable[..., Flask]


@pytest.fixture
def instance(tmp_path: Path) -> Path:
    """The app's instance folder, which does not exist yet."""
    return tmp_path / "instance"


@pytest.fixture
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The working directory, which is not the app's."""
    folder = tmp_path / "elsewhere"
    folder.mkdir()
    monkeypatch.chdir(folder)
    return folder


@pytest.fixture
def make(instance: Path) -> Iterator[MakeApp]:
    """Make an app with a storage, by URI or as an object."""
    storages: list[Any] = []

    def make(uri: str | None = None, storage: Any = None) -> Flask:
        app = Flask("anchored", instance_path=str(instance))
        app.config.update(SECRET_KEY="0123456789abcdef" * 2, OPENROUTER_STORAGE_URI=uri)
        OpenRouterAuth(app, storage=storage, clock=lambda: 1_800_000_000)
        storages.append(vault(app).storage)
        return app

    yield make
    for storage in storages:
        storage.close()


def vault(app: Flask) -> Any:
    return app.extensions["openrouter"].vault


def permissions(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


@pytest.mark.requirement("A10")
@pytest.mark.parametrize("uri", ["sqlite:///keys.db", "sqlite:///file:keys.db?uri=true"])
@pytest.mark.parametrize("is_object", [False, True])
def test_a_relative_path_begins_in_the_instance_folder(
    uri: str, is_object: bool, make: MakeApp, instance: Path, elsewhere: Path
) -> None:
    app = make(storage=SQLAlchemyStorage(uri)) if is_object else make(uri)
    assert not instance.exists(), "made before it is needed"
    previous = os.umask(0)
    try:
        vault(app).save("ada", RECORD)
    finally:
        os.umask(previous)
    assert permissions(instance) == 0o700
    # SQLite gives its log the permissions of the file.
    assert {path.name: permissions(path) for path in instance.iterdir()} == {
        "keys.db": 0o600,
        "keys.db-shm": 0o600,
        "keys.db-wal": 0o600,
    }
    assert [*elsewhere.iterdir()] == []
    assert vault(make("sqlite:///keys.db")).load("ada") == RECORD


@pytest.mark.requirement("A10")
def test_a_file_in_the_working_directory_only_is_refused_and_both_are_named(
    make: MakeApp, instance: Path, elsewhere: Path
) -> None:
    stray = elsewhere / "keys.db"
    with sqlite3.connect(stray) as connection:
        connection.execute("CREATE TABLE t (x)")
    connection.close()
    for uri, start in (("sqlite:///keys.db", "OPENROUTER_STORAGE_URI: "), (None, "")):
        with pytest.raises(ConfigurationError) as raised:
            make(uri, storage=None if uri else SQLAlchemyStorage("sqlite:///keys.db"))
        assert str(raised.value) == (
            f"{start}A relative path of an SQLite file begins in the app's instance folder, where"
            f" '{instance}/keys.db' does not exist. There is '{stray}' in the working directory."
            f" Move that file, or name it with its full path: sqlite:///{stray}"
        )
    # What the message suggests works.
    keys = vault(make(f"sqlite:///{stray}"))
    keys.save("ada", RECORD)
    keys.storage.close()
    assert not instance.exists()
    instance.mkdir()
    stray.rename(instance / "keys.db")
    assert vault(make("sqlite:///keys.db")).load("ada") == RECORD


@pytest.mark.requirement("A10")
def test_a_file_in_both_folders_is_the_one_of_the_instance_folder(
    make: MakeApp, instance: Path, elsewhere: Path
) -> None:
    instance.mkdir()
    (instance / "keys.db").touch(mode=0o640)
    (elsewhere / "keys.db").touch()
    vault(make("sqlite:///keys.db")).save("ada", RECORD)
    assert (elsewhere / "keys.db").stat().st_size == 0
    assert permissions(instance / "keys.db") == 0o640, "an existing file is the operator's"


def test_a_working_directory_that_is_the_instance_folder_is_no_error(
    make: MakeApp, instance: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    instance.mkdir()
    monkeypatch.chdir(instance)
    vault(make("sqlite:///keys.db")).save("ada", RECORD)
    assert vault(make("sqlite:///keys.db")).load("ada") == RECORD


@pytest.mark.requirement("A10")
def test_a_folder_below_the_instance_folder_must_exist(
    make: MakeApp, instance: Path, elsewhere: Path
) -> None:
    (elsewhere / "data").mkdir()
    with pytest.raises(ConfigurationError, match=f"folder '{instance}/data' .* does not exist"):
        make("sqlite:///data/keys.db")
    (instance / "data").mkdir(parents=True)
    vault(make("sqlite:///data/keys.db")).save("ada", RECORD)
    assert permissions(instance / "data" / "keys.db") == 0o600


def test_other_databases_have_no_folder(make: MakeApp, elsewhere: Path) -> None:
    for uri in ("sqlite://", "sqlite:///:memory:", "sqlite:///file:x?mode=memory&uri=true"):
        vault(make(uri)).save("ada", RECORD)
    assert [*elsewhere.iterdir()] == []


@pytest.mark.requirement("A10")
def test_a_file_with_a_full_path_is_private_too(make: MakeApp, tmp_path: Path) -> None:
    vault(make(f"sqlite:///{tmp_path}/keys.db")).save("ada", RECORD)
    assert permissions(tmp_path / "keys.db") == 0o600


def test_a_file_that_is_only_read_is_not_made(make: MakeApp, tmp_path: Path) -> None:
    keys = vault(make(f"sqlite:///file:{tmp_path}/keys.db?mode=ro&uri=true"))
    with pytest.raises(Exception, match="OperationalError"):
        keys.load("ada")
    assert not (tmp_path / "keys.db").exists()


@pytest.mark.requirement("A10")
@pytest.mark.parametrize("command", ["rotate", "prune", "owners"])
def test_commands_find_the_keys_from_every_folder_and_name_the_file(
    command: str, make: MakeApp, instance: Path, elsewhere: Path
) -> None:
    app = make("sqlite:///keys.db")
    result = app.test_cli_runner().invoke(args=["openrouter", command])
    assert result.exit_code == 0
    assert f"Looked in the table openrouter_keys of sqlite:///{instance}/keys.db" in result.stderr
    vault(app).save("ada", RECORD)
    os.chdir("/")
    result = make("sqlite:///keys.db").test_cli_runner().invoke(args=["openrouter", command])
    assert result.exit_code == 0
    assert "Looked in" not in result.stderr
    assert not Path("/keys.db").exists()
