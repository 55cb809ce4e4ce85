"""The end of a login: the new key is stored and replaces the old one, or the old one stays."""

from __future__ import annotations

from typing import Any

import pytest
from attack import exchanges
from flask import Flask
from visitor import Visitor

from flask_openrouter.emulator import Emulator
from flask_openrouter.signals import key_connected, key_disconnected
from flask_openrouter.storage.memory import MemoryStorage


class MoodyStorage(MemoryStorage):
    """Fails for as many calls of each method as ``failing`` tells."""

    def __init__(self) -> None:
        super().__init__()
        self.failing: dict[str, int] = {}

    def _maybe_fail(self, method: str) -> None:
        if self.failing.get(method, 0) > 0:
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
