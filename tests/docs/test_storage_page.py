"""The storages and the task that docs/storage.md shows, run as an app would run them."""

from __future__ import annotations

import json
import secrets
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import flask
import pytest
from doc_blocks import blocks
from flask import Flask
from visitor import Visitor, fingerprint

import flask_openrouter
from flask_openrouter.emulator import Emulator
from flask_openrouter.errors import KeyStorageError
from flask_openrouter.storage import ListableStorage
from flask_openrouter.storage.memory import MemoryStorage

Namespace = dict[str, Any]


def run_block(word: str, app: Flask, **names: Any) -> Namespace:
    """Run the block of the page that holds this word; return what it defined."""
    (code,) = [
        block.code
        for block in blocks("python")
        if block.page.name == "storage.md" and word in block.code
    ]
    namespace: Namespace = {
        **{name: getattr(flask_openrouter, name) for name in flask_openrouter.__all__},
        **{name: getattr(flask, name) for name in ("request", "session")},
        "app": app,
        **names,
    }
    exec(compile(code, word, "exec"), namespace)  # noqa: S102 - our own documentation
    return namespace


@pytest.fixture
def bare_app(emulator: Emulator, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Flask:
    """An app with a guarded view and a way to sign in, without the extension."""
    monkeypatch.chdir(tmp_path)
    app = Flask("documented")
    app.config.update(
        TESTING=True, SECRET_KEY=secrets.token_hex(), OPENROUTER_BASE_URL=emulator.url
    )

    @app.get("/guarded")
    @flask_openrouter.requires_openrouter_key
    def guarded() -> str:
        return fingerprint(flask_openrouter.current_openrouter.api_key)

    @app.post("/sign-in/<int:user_id>")
    def sign_in(user_id: int) -> str:
        flask.session["user_id"] = user_id
        return "welcome"

    return app


@pytest.fixture
def user_table(bare_app: Flask) -> Namespace:
    names = run_block("class UserTableStorage", bare_app)
    names["execute"]("INSERT INTO users (id) VALUES (1), (2), (3)")
    return names


def test_a_table_of_users_keeps_the_keys_of_users(
    bare_app: Flask, user_table: Namespace, emulator: Emulator
) -> None:
    ada, bob = Visitor(bare_app), Visitor(bare_app)
    ada.post("/sign-in/1")
    bob.post("/sign-in/2")
    ada.connect(emulator)
    assert (ada.key is None, bob.key) == (False, None)
    bob.connect(emulator)
    rows = user_table["execute"]("SELECT * FROM users ORDER BY id")
    assert [(row[0], row[1] is None) for row in rows] == [(1, False), (2, False), (3, True)]
    assert "sk-or" not in str(rows)
    ada.post("/openrouter/disconnect")
    assert ada.key is None
    assert bob.key is not None


def test_a_table_of_users_refuses_strangers_before_a_key_is_made(
    bare_app: Flask, user_table: Namespace, emulator: Emulator
) -> None:
    for user_id in (None, 99):
        visitor = Visitor(bare_app)
        if user_id is not None:
            visitor.post(f"/sign-in/{user_id}")
        callback = emulator.approve(visitor.start())
        assert visitor.get(callback).status_code == 503
    assert emulator.count("POST", "/api/v1/auth/keys") == 0
    with pytest.raises(ValueError, match="not enough values"):
        user_table["UserTableStorage"]().set("99", "ciphertext")


def test_a_table_of_users_rotates(
    bare_app: Flask, user_table: Namespace, emulator: Emulator
) -> None:
    visitor = Visitor(bare_app)
    visitor.post("/sign-in/2")
    visitor.connect(emulator)
    storage = bare_app.extensions["openrouter"].vault.storage
    assert isinstance(storage, ListableStorage)
    assert (list(storage.owner_ids()), storage.count_owners()) == (["2"], 1)
    assert list(storage.owner_ids("2")) == []
    result = bare_app.test_cli_runner().invoke(args=["openrouter", "rotate"])
    assert "0 rotated, 1 already current" in result.stdout


@pytest.fixture
def celery(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[Any]]:
    """What Celery would do with a task, done by a plain thread. Yields the results."""
    results: list[Any] = []
    threads: list[threading.Thread] = []

    def shared_task(function: Callable[..., Any]) -> Callable[..., Any]:
        def delay(*arguments: Any) -> None:
            # Celery sends arguments by message: only what JSON can say arrives.
            sent = json.loads(json.dumps(arguments))
            thread = threading.Thread(target=lambda: results.append(function(*sent)))
            threads.append(thread)
            thread.start()
            thread.join(60)

        function.delay = delay  # type: ignore[attr-defined]
        return function

    module = ModuleType("celery")
    module.shared_task = shared_task  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "celery", module)
    yield results
    assert not [thread for thread in threads if thread.is_alive()]


def test_the_task_of_the_documentation_works_in_a_thread(
    bare_app: Flask, emulator: Emulator, celery: list[Any]
) -> None:
    auth = flask_openrouter.OpenRouterAuth(bare_app, storage=MemoryStorage())
    task = run_block("shared_task", bare_app, auth=auth)["summarize"]
    visitor = Visitor(bare_app)
    visitor.connect(emulator)

    def ask() -> str:
        answer = visitor.post("/summarize", data={"text": "A long story."})
        assert answer.text == "Started."
        return str(celery.pop())

    assert len(ask()) > 20
    with emulator.faults(status=402, path="/api/v1/chat/completions"):
        assert ask() == "Add credit at OpenRouter."
    with emulator.faults(status=401, times=None):
        assert ask() == "Connect OpenRouter again."
    assert visitor.key is None
    task.delay("nobody", "A long story.")
    assert celery == ["Connect OpenRouter first."]


def test_a_page_that_catches_the_error_survives_its_storage(bare_app: Flask) -> None:
    class Down(MemoryStorage):
        def get(self, owner_id: str) -> str | None:
            raise OSError

    flask_openrouter.OpenRouterAuth(bare_app, storage=Down()).owner_loader(lambda: "7")

    @bare_app.get("/fails")
    def fails() -> str:
        return flask.render_template_string("{% if current_openrouter %}Yes{% endif %}")

    @bare_app.get("/works")
    def works() -> str:
        try:
            is_connected = bool(flask_openrouter.current_openrouter)
        except KeyStorageError:
            is_connected = False
        return str(is_connected)

    client = bare_app.test_client()
    assert client.get("/fails").status_code == 503
    assert client.get("/works").text == "False"
