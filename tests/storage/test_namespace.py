"""OPENROUTER_NAMESPACE: apps that share a secret, a storage and a host do not share keys."""

from __future__ import annotations

import secrets
from collections.abc import Callable
from typing import Any

import pytest
from bare_storage import Bare
from click.testing import Result
from flask import Flask, request
from stored_apps import StoredApps
from visitor import Visitor

from flask_openrouter.emulator import Emulator
from flask_openrouter.errors import KeyStorageError
from flask_openrouter.storage import (
    AddingStorage,
    ComparingStorage,
    KeyStorage,
    ListableStorage,
    ReplacingStorage,
)
from flask_openrouter.storage.memory import MemoryStorage
from flask_openrouter.storage.namespace import back_end, in_namespace
from flask_openrouter.storage.record import KeyRecord
from flask_openrouter.testing import KeyStorageContract

SECRET_KEY = secrets.token_hex()
RECORD = KeyRecord("sk-or-v1-canary-canary", "user_1", 1_800_000_000)
DAY = 24 * 3600

#: Apps with these namespaces share one secret and one storage.
NAMESPACES = (None, "shop", "Shop", "shop.ada")


class TestNamespace(KeyStorageContract):
    """A namespace of a storage is a storage."""

    def make_storage(self) -> KeyStorage:
        return in_namespace(MemoryStorage(), "shop")

    # Their longest owner ids do not fit beside the namespace.
    test_owners_never_share_an_entry = None
    test_listing_finds_every_owner = None


def vault(app: Flask) -> Any:
    return app.extensions["openrouter"].vault


def run(app: Flask, *arguments: str) -> Result:
    return app.test_cli_runner().invoke(args=["openrouter", *arguments])


def user_of(app: Flask) -> Flask:
    app.extensions["openrouter"].app_functions.owner_loader = lambda: request.headers.get("X-User")
    return app


@pytest.mark.requirement("A12")
@pytest.mark.parametrize("user", ["5", None])
def test_apps_with_one_secret_and_one_storage_do_not_share_keys(
    all_stored_apps: StoredApps, emulator: Emulator, user: str | None
) -> None:
    """The same user id, and the same browser with all the cookies of the other apps."""
    visitors = []
    for namespace in NAMESPACES:
        app = all_stored_apps(SECRET_KEY=SECRET_KEY, OPENROUTER_NAMESPACE=namespace)
        visitor = Visitor(user_of(app))
        if user is not None:
            visitor.client.environ_base["HTTP_X_USER"] = user
        for earlier in visitors:
            for cookie in earlier.client._cookies.values():
                visitor.client.set_cookie(cookie.key, cookie.value)
        assert visitor.key is None, namespace
        visitor.connect(emulator)
        visitors.append(visitor)
    keys = [visitor.key for visitor in visitors]
    assert None not in keys
    assert len(set(keys)) == len(NAMESPACES)
    visitors[1].post("/openrouter/disconnect")
    assert [visitor.key for visitor in visitors] == [keys[0], None, *keys[2:]]


@pytest.mark.requirement("A12")
def test_the_namespace_is_part_of_the_name_of_every_cookie(
    all_stored_apps: StoredApps, emulator: Emulator
) -> None:
    visitor = Visitor(all_stored_apps(OPENROUTER_NAMESPACE="shop"))
    visitor.connect(emulator)
    names = {cookie.key for cookie in visitor.client._cookies.values()} - {"session"}
    assert names
    assert all(name.startswith("openrouter-shop") for name in names)


@pytest.mark.requirement("A12")
def test_a_cookie_that_is_renamed_does_not_open(
    make_app: Callable[..., Flask], emulator: Emulator
) -> None:
    """A key in a cookie, and the id of a browser whose key is in a storage."""
    for extension in ({}, {"storage": MemoryStorage()}):
        ada = Visitor(make_app(extension, SECRET_KEY=SECRET_KEY))
        ada.connect(emulator)
        assert ada.key is not None
        other = Visitor(make_app(extension, SECRET_KEY=SECRET_KEY, OPENROUTER_NAMESPACE="shop"))
        for cookie in ada.client._cookies.values():
            other.client.set_cookie(
                cookie.key.replace("openrouter", "openrouter-shop"), cookie.value
            )
        assert other.key is None


@pytest.mark.requirement("A12")
def test_an_entry_that_is_renamed_does_not_open(make_app: Callable[..., Flask]) -> None:
    storage = MemoryStorage()
    plain = make_app({"storage": storage}, SECRET_KEY=SECRET_KEY)
    shop = make_app({"storage": storage}, SECRET_KEY=SECRET_KEY, OPENROUTER_NAMESPACE="shop")
    vault(plain).save("ada", RECORD)
    vault(shop).save("ada", RECORD)
    plain_text, shop_text = storage.get("ada"), storage.get("namespace:shop:ada")
    assert plain_text is not None
    assert shop_text is not None
    storage.set("ada", shop_text)
    storage.set("namespace:shop:ada", plain_text)
    assert vault(plain).load("ada") is vault(shop).load("ada") is None


@pytest.mark.requirement("A12")
def test_commands_see_their_own_entries_only(all_stored_apps: StoredApps, clock: Any) -> None:
    if not all_stored_apps.is_server_side:
        return
    apps = {
        namespace: all_stored_apps(SECRET_KEY=SECRET_KEY, OPENROUTER_NAMESPACE=namespace)
        for namespace in NAMESPACES
    }
    for number, app in enumerate(apps.values()):
        clock.now -= 32 * DAY
        vault(app).save("browser:past", KeyRecord("sk-or-v1-canary", None, int(clock.now)))
        clock.now += 32 * DAY
        for user in range(number + 1):
            vault(app).save(f"user {user}", RECORD)
    for number, (namespace, app) in enumerate(apps.items(), 1):
        listed = run(app, "owners").stdout.splitlines()
        assert sorted(line.split("  ")[1] for line in listed) == [
            f"user {user}" for user in range(number)
        ], namespace
        assert run(app, "rotate").stdout.startswith(
            f"0 rotated, {number + 1} already current, 0 un"
        )
        assert run(app, "prune").stdout.startswith(
            f"1 deleted, {number} kept, 0 unreadable, 0 gone"
        )
    assert "Nothing is stored" in run(apps["shop"], "forget", "user 3").stdout
    assert "Forgotten" in run(apps["shop"], "forget", "user 1").stdout
    assert vault(apps["Shop"]).load("user 1") == RECORD
    empty = all_stored_apps(SECRET_KEY=SECRET_KEY, OPENROUTER_NAMESPACE="empty")
    assert "No key was found. Looked in the namespace 'empty' of " in run(empty, "owners").stderr
    after = run(apps["shop.ada"], "rotate", "--after", "user 2").stdout
    assert after.startswith(f"0 rotated, {4 if all_stored_apps.kind == 'redis' else 1} already")


@pytest.mark.requirement("A12")
def test_no_user_of_one_app_can_name_an_entry_of_another(
    make_app: Callable[..., Flask], emulator: Emulator
) -> None:
    storage = MemoryStorage()
    shop = make_app({"storage": storage}, SECRET_KEY=SECRET_KEY, OPENROUTER_NAMESPACE="shop")
    vault(shop).save("ada", RECORD)
    plain = user_of(make_app({"storage": storage}, SECRET_KEY=SECRET_KEY))
    visitor = Visitor(plain)
    visitor.client.environ_base["HTTP_X_USER"] = "namespace:shop:ada"
    assert visitor.get("/guarded").status_code == 503
    assert visitor.post("/openrouter/disconnect").status_code == 503
    result = run(plain, "forget", "namespace:shop:ada")
    assert result.exit_code == 1
    assert "set OPENROUTER_NAMESPACE" in result.stderr
    assert vault(shop).load("ada") == RECORD


@pytest.mark.requirement("A12")
def test_storages_with_three_methods_have_namespaces_too(make_app: Callable[..., Flask]) -> None:
    storage = Bare()
    app = make_app({"storage": storage}, OPENROUTER_NAMESPACE="shop")
    vault(app).save("ada", RECORD)
    assert [*storage.entries] == ["namespace:shop:ada"]
    vault(app).forget("ada")
    assert storage.entries == {}
    namespaced: Any = vault(app).storage
    for protocol in (ListableStorage, ReplacingStorage, ComparingStorage, AddingStorage):
        assert not isinstance(namespaced, protocol)
    assert back_end(namespaced) is storage
    assert namespaced.location == "the namespace 'shop' of Bare"
    namespaced.close()


def test_an_owner_id_that_is_too_long_beside_the_namespace_is_an_error(
    make_app: Callable[..., Flask],
) -> None:
    app = make_app({"storage": MemoryStorage()}, OPENROUTER_NAMESPACE="x" * 32)
    vault(app).save("a" * 212, RECORD)
    assert vault(app).load("a" * 212) == RECORD
    with pytest.raises(KeyStorageError) as raised:
        vault(app).save("a" * 213, RECORD)
    assert (
        str(raised.value.__cause__) == "In this namespace an owner id has at most 212 characters."
    )
