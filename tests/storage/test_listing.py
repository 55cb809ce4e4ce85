"""The owners of all keys: ``auth.list_owners()`` and ``flask openrouter owners``. Never a key."""

from __future__ import annotations

import json
from datetime import datetime, timedelta, timezone
from typing import Any

import pytest
from bare_storage import Bare
from flask import Flask
from stored_apps import StoredApps

from flask_openrouter import OpenRouterAuth
from flask_openrouter.errors import ConfigurationError, KeyStorageError
from flask_openrouter.storage.memory import MemoryStorage
from flask_openrouter.storage.record import KeyRecord

NOW = datetime(2027, 1, 15, 8, 0, tzinfo=timezone.utc)


def make_auth(storage: Any, **options: Any) -> tuple[Flask, OpenRouterAuth]:
    app = Flask("listed")
    app.config.update(SECRET_KEY="0123456789abcdef" * 2, TESTING=True)
    auth = OpenRouterAuth(app, storage=storage, clock=NOW.timestamp, **options)
    return app, auth


def save(app: Flask, owner_id: str, *, days: float = 0) -> None:
    at = int((NOW - timedelta(days=days)).timestamp())
    app.extensions["openrouter"].vault._clock = lambda: at
    app.extensions["openrouter"].vault.save(owner_id, KeyRecord("sk-or-v1-canary", None, at))
    app.extensions["openrouter"].vault._clock = NOW.timestamp


@pytest.mark.requirement("A7")
@pytest.mark.parametrize("encrypt", [True, False])
def test_owners_are_listed_with_the_time_at_which_they_connected(encrypt: bool) -> None:
    storage = MemoryStorage()
    app, auth = make_auth(storage, encrypt=encrypt)
    save(app, "ada", days=100)
    save(app, "browser:now")
    save(app, "browser:past", days=32)
    storage.set("unreadable", "not ours")
    with app.app_context():
        listed = [*auth.list_owners()]
        owner_ids = [owner.owner_id for owner in auth.list_owners()]
    assert listed == [("ada", NOW - timedelta(days=100)), ("browser:now", NOW)]
    assert owner_ids == ["ada", "browser:now"]
    assert listed[0].connected_at.tzinfo is timezone.utc
    assert "canary" not in repr(listed)


def test_an_owner_that_the_storage_yields_twice_is_listed_once() -> None:
    class Twice(MemoryStorage):
        def owner_ids(self, after: str | None = None) -> Any:
            yield from super().owner_ids()
            yield from super().owner_ids()

    app, auth = make_auth(Twice())
    save(app, "ada")
    with app.app_context():
        assert [owner.owner_id for owner in auth.list_owners()] == ["ada"]


@pytest.mark.requirement("A7")
@pytest.mark.parametrize("storage", [None, Bare()], ids=["cookie", "three methods"])
@pytest.mark.parametrize("command", ["owners", "prune"])
def test_a_storage_that_cannot_list_is_refused_at_the_call(storage: Any, command: str) -> None:
    app, auth = make_auth(storage)
    with app.app_context(), pytest.raises(ConfigurationError) as raised:
        auth.list_owners()
    result = app.test_cli_runner().invoke(args=["openrouter", command])
    assert result.exit_code == 1
    assert result.stderr == f"Error: {raised.value}\n"
    assert ("browsers" if storage is None else "Bare does not list") in result.stderr


def test_a_storage_that_fails_is_reported() -> None:
    class Failing(MemoryStorage):
        def owner_ids(self, after: str | None = None) -> Any:
            raise OSError("password=hunter2")

    app, auth = make_auth(Failing())
    with app.app_context(), pytest.raises(KeyStorageError, match="Listing the owners failed"):
        list(auth.list_owners())
    result = app.test_cli_runner().invoke(args=["openrouter", "owners"])
    assert result.exit_code == 1
    assert "hunter2" not in result.output


@pytest.mark.requirement("A7")
def test_the_command_prints_a_line_or_an_entry_for_each_owner() -> None:
    app, _ = make_auth(MemoryStorage())
    save(app, "ada@example.com", days=1)
    save(app, "line\nend")
    run = app.test_cli_runner().invoke
    result = run(args=["openrouter", "owners"])
    assert result.stdout == (
        "2027-01-14T08:00:00Z  ada@example.com\n2027-01-15T08:00:00Z  'line\\nend'\n"
    )
    result = run(args=["openrouter", "owners", "--json"])
    assert json.loads(result.stdout) == [
        {"owner_id": "ada@example.com", "connected_at": "2027-01-14T08:00:00+00:00"},
        {"owner_id": "line\nend", "connected_at": "2027-01-15T08:00:00+00:00"},
    ]
    assert "canary" not in result.output


@pytest.mark.requirement("A10")
@pytest.mark.parametrize("arguments", [[], ["--json"]], ids=["lines", "json"])
def test_records_that_do_not_open_are_counted_with_a_remedy(arguments: list[str]) -> None:
    storage = MemoryStorage()
    save(make_auth(storage)[0], "ada")
    app, _ = make_auth(storage, encrypt=False)
    save(app, "bob")
    storage.set("truncated", storage.get("ada")[:-9])  # type: ignore[index]
    result = app.test_cli_runner().invoke(args=["openrouter", "owners", *arguments])
    assert result.exit_code == 0
    assert result.stderr.startswith("Stored keys that do not open: 2. Add the OPENROUTER_ENC")
    assert "No key was found" not in result.stderr
    assert result.stdout.count("bob") == 1
    assert "ada" not in result.output
    named = app.test_cli_runner().invoke(args=["openrouter", "prune", "--dry-run"])
    assert "unreadable: ada\nunreadable: truncated\n" in named.stdout


@pytest.mark.requirement("A10")
@pytest.mark.parametrize(
    "stored_kind",
    [
        *("memory", "sqlite"),
        pytest.param("postgresql", marks=pytest.mark.every_variant),
        pytest.param("redis", marks=pytest.mark.every_variant),
    ],
    indirect=True,
)
def test_commands_that_find_nothing_say_where_they_looked(all_stored_apps: StoredApps) -> None:
    app = all_stored_apps()
    place = {
        "memory": "the memory of this process",
        "sqlite": f"the table openrouter_keys of {all_stored_apps.uri}",
        "postgresql": "postgresql+psycopg://tester:***@127.0.0.1:",
        "redis": "Redis at 127.0.0.1:",
    }[all_stored_apps.kind]
    for command in ("rotate", "prune", "owners"):
        result = app.test_cli_runner().invoke(args=["openrouter", command])
        assert result.exit_code == 0
        assert "No key was found. Looked in " in result.stderr
        assert place in result.stderr
    result = app.test_cli_runner().invoke(args=["openrouter", "owners", "--json"])
    assert (result.stdout, result.stderr) == ("[]\n", "")
