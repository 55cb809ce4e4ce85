"""``auth.for_owner(owner_id)``: a visitor's key off the request, as a task queue uses it."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from flask import Flask, request
from visitor import Visitor, fingerprint

from flask_openrouter import OpenRouterAuth
from flask_openrouter.emulator import Emulator
from flask_openrouter.errors import (
    ConfigurationError,
    KeyRejectedError,
    KeyStorageError,
    NotConnectedError,
    OpenRouterError,
)
from flask_openrouter.signals import key_connected, key_disconnected

MODEL = "openai/gpt-4o-mini"


@dataclass
class Site:
    """A web app with a task queue beside it."""

    app: Flask
    auth: OpenRouterAuth

    def visitor(self, user: str | None = None) -> Visitor:
        visitor = Visitor(self.app)
        if user is not None:
            visitor.client.environ_base["HTTP_X_USER"] = user
        return visitor

    def ask(self, owner_id: str | int, question: str) -> str:
        """The task, as a Celery worker would have it: it is given an owner id, never a key."""
        with self.app.app_context():
            connection = self.auth.for_owner(owner_id)
            reply = connection.session.post(
                "chat/completions",
                json={"model": MODEL, "messages": [{"role": "user", "content": question}]},
            )
            return str(reply.json()["choices"][0]["message"]["content"])

    def delay(self, owner_id: str | int, question: str = "Hello?") -> str | BaseException:
        """Run the task in a plain thread; return what it returned or raised."""
        outcome: list[str | BaseException] = []

        def work() -> None:
            try:
                outcome.append(self.ask(owner_id, question))
            except OpenRouterError as error:
                outcome.append(error)

        thread = threading.Thread(target=work)
        thread.start()
        thread.join(60)
        (result,) = outcome
        return result


@pytest.fixture
def open_site(make_app: Callable[..., Flask]) -> Callable[..., Site]:
    def open_it(**config: Any) -> Site:
        app = make_app(**config)
        # The same as OpenRouterAuth(app), which make_app has made and kept to itself.
        auth = OpenRouterAuth()
        app.extensions["openrouter"].app_functions.owner_loader = lambda: request.headers.get(
            "X-User"
        )
        return Site(app, auth)

    return open_it


@pytest.fixture
def site(open_site: Callable[..., Site], storage_uri: str) -> Iterator[Site]:
    site = open_site(OPENROUTER_STORAGE_URI=storage_uri)
    yield site
    site.app.extensions["openrouter"].vault.storage.close()


@pytest.fixture
def sqlite_site(open_site: Callable[..., Site], tmp_path: Path) -> Iterator[Site]:
    site = open_site(OPENROUTER_STORAGE_URI=f"sqlite:///{tmp_path}/keys.db")
    yield site
    site.app.extensions["openrouter"].vault.storage.close()


def test_a_task_uses_the_key_of_the_user_who_asked_for_it(site: Site, emulator: Emulator) -> None:
    ada, bob = site.visitor("ada"), site.visitor("42")
    ada.connect(emulator)
    bob.connect(emulator)
    assert isinstance(site.delay("ada"), str)
    # An id as the app's database has it.
    assert isinstance(site.delay(42), str)
    with site.app.app_context():
        keys = [fingerprint(site.auth.for_owner(owner).api_key) for owner in ("ada", 42)]
    assert keys == [ada.key, bob.key]
    used = {key["hash"] for key in emulator.ledger.keys(emulator.now()) if key["usage"] > 0}
    assert used == set(keys)


def test_a_task_for_a_browser_uses_the_owner_id_of_the_signal(
    site: Site, emulator: Emulator
) -> None:
    heard: list[str] = []
    with key_connected.connected_to(lambda _, owner_id, **__: heard.append(owner_id), site.app):
        site.visitor().connect(emulator)
    (owner_id,) = heard
    assert owner_id.startswith("browser:")
    assert isinstance(site.delay(owner_id), str)


def test_a_task_after_disconnecting_has_no_key(site: Site, emulator: Emulator) -> None:
    ada = site.visitor("ada")
    ada.connect(emulator)
    ada.post("/openrouter/disconnect")
    with site.app.app_context():
        assert not site.auth.for_owner("ada")
    assert isinstance(site.delay("ada"), NotConnectedError)
    assert isinstance(site.delay("nobody"), NotConnectedError)


def test_a_key_that_dies_in_a_task_is_forgotten_and_the_visitor_asked_again(
    sqlite_site: Site, emulator: Emulator
) -> None:
    ada, heard = sqlite_site.visitor("ada"), []
    ada.connect(emulator)
    with (
        emulator.faults(status=401, path="/api/v1/chat/completions"),
        emulator.faults(status=401, path="/api/v1/key"),
        key_disconnected.connected_to(lambda _, **news: heard.append(news), sqlite_site.app),
    ):
        assert isinstance(sqlite_site.delay("ada"), KeyRejectedError)
    assert heard == [{"owner_id": "ada", "reason": "rejected"}]
    assert ada.get("/guarded").location == "/openrouter/login?next=/guarded"


def test_a_key_that_dies_in_a_task_costs_nobody_the_one_that_replaced_it(
    sqlite_site: Site, emulator: Emulator
) -> None:
    ada = sqlite_site.visitor("ada")
    ada.connect(emulator)
    with sqlite_site.app.app_context():
        connection = sqlite_site.auth.for_owner("ada")
        emulator.revoke(connection.api_key)
        ada.connect(emulator)
        with pytest.raises(KeyRejectedError):
            connection.key_info()
    assert ada.key is not None


def test_a_task_can_disconnect(sqlite_site: Site, emulator: Emulator) -> None:
    ada = sqlite_site.visitor("ada")
    ada.connect(emulator)
    with sqlite_site.app.app_context():
        sqlite_site.auth.for_owner("ada").disconnect()
    assert ada.key is None


def test_keys_in_cookies_cannot_be_used_off_request_and_the_error_says_why(
    open_site: Callable[..., Site], emulator: Emulator
) -> None:
    site = open_site()
    site.visitor("ada").connect(emulator)
    error = site.delay("ada")
    assert isinstance(error, ConfigurationError)
    assert "OPENROUTER_STORAGE_URI" in str(error)


def test_an_id_that_no_key_can_have_is_refused(sqlite_site: Site) -> None:
    owner_ids: list[Any] = [None, True, "", "x" * 256, "a\0", "\ud800", 1.5, b"ada"]
    for owner_id in owner_ids:
        assert isinstance(sqlite_site.delay(owner_id), KeyStorageError), owner_id
