"""Keys end with OPENROUTER_KEY_MAX_AGE on every storage, and ``prune`` deletes them."""

from __future__ import annotations

import secrets
from collections.abc import Callable
from typing import Any

import pytest
from click.testing import Result
from flask import Flask
from stored_apps import StoredApps
from visitor import Visitor

from flask_openrouter.emulator import Emulator
from flask_openrouter.storage.memory import MemoryStorage
from flask_openrouter.storage.record import KeyRecord

SECRET_KEY = secrets.token_hex()
DAY = 24 * 3600


def run(app: Flask, *arguments: str) -> Result:
    return app.test_cli_runner().invoke(args=["openrouter", *arguments])


def vault(app: Flask) -> Any:
    return app.extensions["openrouter"].vault


def record(clock: Any, *, days: float = 0) -> KeyRecord:
    """A record that was connected so many days ago."""
    return KeyRecord("sk-or-v1-canary-canary", "user_1", int(clock.now - days * DAY))


def connect_user(app: Flask, emulator: Emulator) -> Visitor:
    app.extensions["openrouter"].app_functions.owner_loader = lambda: "ada"
    visitor = Visitor(app)
    visitor.connect(emulator)
    return visitor


@pytest.mark.requirement("A7")
def test_a_key_of_a_browser_ends_on_every_storage(
    all_stored_apps: StoredApps, emulator: Emulator, clock: Any
) -> None:
    visitor = Visitor(all_stored_apps(OPENROUTER_KEY_MAX_AGE=3600))
    visitor.connect(emulator)
    clock.now += 3600
    assert visitor.key is not None
    # The test client goes on sending its cookies, as a copy of them would be.
    clock.now += 1
    assert visitor.key is None
    assert visitor.get("/openrouter/status").json["connected"] is False


@pytest.mark.requirement("A7")
def test_a_key_of_a_browser_ends_after_31_days_without_the_setting(
    all_stored_apps: StoredApps, emulator: Emulator, clock: Any
) -> None:
    visitor = Visitor(all_stored_apps())
    visitor.connect(emulator)
    clock.now += 31 * DAY + 1
    assert visitor.key is None


@pytest.mark.requirement("A7")
def test_a_key_of_a_user_lives_until_disconnected_unless_the_app_limits_it(
    all_stored_apps: StoredApps, emulator: Emulator, clock: Any
) -> None:
    kept = connect_user(all_stored_apps(SECRET_KEY=SECRET_KEY), emulator)
    limited_app = all_stored_apps(SECRET_KEY=SECRET_KEY, OPENROUTER_KEY_MAX_AGE=31 * DAY)
    limited = connect_user(limited_app, emulator)
    clock.now += 31 * DAY + 1
    assert (kept.key is not None) == all_stored_apps.is_server_side
    assert limited.key is None


@pytest.mark.requirement("A7")
def test_prune_deletes_what_is_past_its_age_and_nothing_else(
    make_app: Callable[..., Flask], clock: Any
) -> None:
    storage = MemoryStorage()
    app = make_app({"storage": storage}, SECRET_KEY=SECRET_KEY)
    keys = vault(app)
    keys.save("browser:current", record(clock, days=31))
    keys.save("user", record(clock, days=400))
    clock.now -= 400 * DAY
    keys.save("browser:past", record(clock))
    clock.now += 400 * DAY
    storage.set("browser:another key's", "not ours")
    storage.set("line\nend", "not ours either")
    names = ["browser:another key's", "browser:current", "browser:past", "line\nend", "user"]

    dry = run(app, "prune", "--dry-run")
    assert dry.exit_code == 0
    assert dry.stdout == (
        "unreadable: browser:another key's\n"
        "unreadable: 'line\\nend'\n"
        "1 to be deleted, 2 kept, 2 unreadable, 0 gone meanwhile.\n"
        "Nothing was deleted, because of --dry-run.\n"
    )
    assert [*storage.owner_ids()] == names

    result = run(app, "prune")
    assert result.exit_code == 0
    assert "1 deleted, 2 kept, 2 unreadable, 0 gone meanwhile.\n" in result.stdout
    names.remove("browser:past")
    assert [*storage.owner_ids()] == names
    assert "canary" not in dry.output + result.output


def test_a_long_prune_says_how_far_it_is(make_app: Callable[..., Flask]) -> None:
    storage = MemoryStorage()
    for number in range(1002):
        storage.set(str(number), "of another key")
    result = run(make_app({"storage": storage}), "prune")
    assert "Pruning: 1000 of about 1002\n" in result.stderr


@pytest.mark.requirement("A7")
def test_prune_deletes_users_past_the_age_that_the_app_sets(
    all_stored_apps: StoredApps, clock: Any
) -> None:
    if not all_stored_apps.is_server_side:
        result = run(all_stored_apps(), "prune")
        assert result.exit_code == 1
        assert "visitors' browsers" in result.stderr
        return
    app = all_stored_apps(OPENROUTER_KEY_MAX_AGE=60)
    clock.now -= 61
    vault(app).save("ada", record(clock))
    clock.now += 61
    vault(app).save("bob", record(clock))
    assert "1 deleted, 1 kept" in run(app, "prune").stdout
    assert [owner_id for owner_id, _ in owners(app)] == ["bob"]


class Changing(MemoryStorage):
    """A visitor connects or disconnects between the look and the deletion."""

    change: Callable[[], None] | None = None

    def get(self, owner_id: str) -> str | None:
        ciphertext = super().get(owner_id)
        change, self.change = self.change, None
        if change is not None:
            change()
        return ciphertext


class ChangingWithThreeMethods(Changing):
    """The same, and it cannot compare."""

    delete_if = None  # type: ignore[assignment]


@pytest.mark.parametrize("kind", [Changing, ChangingWithThreeMethods])
@pytest.mark.requirement("A7", "A9")
def test_prune_spares_a_key_that_is_connected_meanwhile(
    kind: type[Changing], make_app: Callable[..., Flask], clock: Any
) -> None:
    storage = kind()
    app = make_app({"storage": storage})
    keys = vault(app)
    clock.now -= 40 * DAY
    for owner_id in ("browser:a", "browser:b"):
        keys.save(owner_id, record(clock))
    clock.now += 40 * DAY
    storage.change = lambda: keys.save("browser:a", record(clock))
    assert "1 deleted, 0 kept, 0 unreadable, 1 gone meanwhile" in run(app, "prune").stdout
    assert keys.load("browser:a") == record(clock)
    assert storage.get("browser:b") is None


def test_a_record_that_disappears_meanwhile_is_no_error(
    make_app: Callable[..., Flask], clock: Any
) -> None:
    storage = Changing()
    app = make_app({"storage": storage})
    for owner_id in ("a", "b"):
        vault(app).save(owner_id, record(clock))
    storage.change = lambda: storage.delete("b")
    assert "0 deleted, 1 kept, 0 unreadable, 1 gone" in run(app, "prune").stdout


def test_an_interrupted_prune_says_what_it_has_done(
    make_app: Callable[..., Flask], clock: Any
) -> None:
    storage = Changing()
    app = make_app({"storage": storage})
    vault(app).save("a", record(clock))

    def interrupt() -> None:
        raise KeyboardInterrupt

    storage.change = interrupt
    result = run(app, "prune")
    assert result.exit_code == 1
    assert result.stdout == "0 deleted, 0 kept, 0 unreadable, 0 gone meanwhile.\n"
    assert "Interrupted. Run the command again." in result.stderr


def owners(app: Flask) -> list[Any]:
    with app.app_context():
        from flask_openrouter.storage.listing import Listing

        return [*Listing(vault(app)).connected_owners()]
