"""The end of a login: the new key is stored and replaces the old one, or the old one stays."""

from __future__ import annotations

from typing import Any

import pytest
from attack import browser_with, exchanges, save_jar
from flask import Flask
from visitor import Visitor

from flask_openrouter.emulator import Emulator
from flask_openrouter.signals import key_connected, key_disconnected
from flask_openrouter.storage.memory import MemoryStorage


class MoodyStorage(MemoryStorage):
    """Fails for ``failing`` calls of each method, after ``working`` that do not."""

    def __init__(self) -> None:
        super().__init__()
        self.failing: dict[str, int] = {}
        self.working: dict[str, int] = {}

    def _maybe_fail(self, method: str) -> None:
        if self.working.get(method, 0) > 0:
            self.working[method] -= 1
        elif self.failing.get(method, 0) > 0:
            self.failing[method] -= 1
            raise OSError("disk on fire")

    def get(self, owner_id: str) -> str | None:
        self._maybe_fail("get")
        return super().get(owner_id)

    def set(self, owner_id: str, ciphertext: str) -> None:
        self._maybe_fail("set")
        super().set(owner_id, ciphertext)

    def delete(self, owner_id: str) -> None:
        self._maybe_fail("delete")
        super().delete(owner_id)


@pytest.fixture
def storage() -> MoodyStorage:
    return MoodyStorage()


@pytest.fixture
def app(make_app: Any, storage: MoodyStorage) -> Flask:
    return make_app({"storage": storage})  # type: ignore[no-any-return]


@pytest.mark.requirement("R93")
def test_a_save_that_fails_is_retried_once(
    visitor: Visitor, emulator: Emulator, storage: MoodyStorage
) -> None:
    storage.failing["set"] = 1
    assert visitor.connect(emulator).status_code == 303
    assert visitor.key is not None
    assert exchanges(emulator) == 1
    storage.failing["set"] = 3
    assert visitor.connect(emulator).status_code == 503
    assert storage.failing["set"] == 1, "there is one second try"


@pytest.mark.requirement("R94")
def test_a_storage_that_is_down_spends_neither_code_nor_login(
    visitor: Visitor, emulator: Emulator, storage: MoodyStorage
) -> None:
    callback = emulator.approve(visitor.start("/guarded"))
    storage.failing["get"] = 1
    assert visitor.get(callback).status_code == 503
    assert exchanges(emulator) == 0
    assert visitor.get(callback).location == "/guarded"


@pytest.mark.requirement("R40")
def test_a_callback_of_a_user_that_is_repeated_at_another_worker_ends_the_same(
    make_app: Any, emulator: Emulator, storage: MoodyStorage, clock: Any
) -> None:
    """The first response was lost."""
    apps = [make_app({"storage": storage}, SECRET_KEY="x" * 32) for _ in range(2)]
    for app in apps:
        app.extensions["openrouter"].app_functions.owner_loader = lambda: "ada"
    visitor = Visitor(apps[0])
    for number in range(2):
        callback = emulator.approve(visitor.start("/guarded"))
        elsewhere = browser_with(apps[1], save_jar(visitor))
        key = visitor.get(callback) and visitor.key
        for _ in range(2):
            assert elsewhere.get(callback).location == "/guarded", number
            assert elsewhere.key == key
        # The second time, there is an older key.
        clock.now += 61


@pytest.mark.requirement("R40")
def test_a_refused_code_of_a_user_with_a_key_is_no_repetition(
    make_app: Any, emulator: Emulator, storage: MoodyStorage, clock: Any
) -> None:
    """The key is older than the login, comes from another one, is set aside, or unreadable."""
    app = make_app({"storage": storage})
    app.extensions["openrouter"].app_functions.owner_loader = lambda: "ada"
    visitor = Visitor(app)

    def is_refused(login: str, reader: Visitor = visitor) -> bool:
        page = reader.get(visitor.callback_url(login, code="wrong"))
        return page.status_code == 400 and "refused this login" in page.text

    waiting = visitor.start()
    visitor.connect(emulator)
    assert is_refused(waiting), "another login of this browser explains the key"
    assert is_refused(visitor.start())
    clock.now += 61
    other = Visitor(app)
    assert is_refused(other.start(), other), "the key is older"
    # Without the cookie of the login that ended.
    login = other.start()
    vault = app.extensions["openrouter"].vault
    record = vault.load("ada")
    assert record is not None
    record.connected_at = record.rejected_at = int(clock.now)
    vault.save("ada", record)
    assert is_refused(login, other), "the key is set aside"
    record.rejected_at = None
    vault.save("ada", record)
    login = other.start()
    storage.working["get"], storage.failing["get"] = 2, 1
    assert is_refused(login, other), "the key cannot be read"
    assert storage.failing["get"] == 0


@pytest.mark.requirement("R98")
def test_a_disconnect_whose_deletion_fails_reports_the_failure(
    app: Flask, visitor: Visitor, emulator: Emulator, storage: MoodyStorage
) -> None:
    visitor.connect(emulator)
    heard = []
    storage.failing["delete"] = 1
    with key_disconnected.connected_to(lambda sender, **news: heard.append(news), app):
        assert visitor.post("/openrouter/disconnect").status_code == 503
        assert visitor.key is not None
        assert heard == []
        assert visitor.post("/openrouter/disconnect").status_code == 303
    assert visitor.key is None
    assert [news["reason"] for news in heard] == ["visitor"]


def test_a_reconnect_replaces_the_key_and_its_signal_names_the_previous_account(
    app: Flask, visitor: Visitor, emulator: Emulator, storage: MoodyStorage
) -> None:
    heard = []
    with key_connected.connected_to(lambda sender, **news: heard.append(news), app):
        visitor.connect(emulator)
        first = visitor.key
        storage.failing["delete"] = 1
        visitor.connect(emulator)
        visitor.connect(emulator)
    assert visitor.key not in (None, first)
    accounts = [news["previous_openrouter_user_id"] for news in heard]
    assert accounts == [None, heard[0]["openrouter_user_id"], heard[0]["openrouter_user_id"]]
    assert len({news["owner_id"] for news in heard}) == 3
