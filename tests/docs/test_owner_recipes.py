"""The recipes about owners work as their pages say: sign-up, a table of keys, pages for admins."""

from __future__ import annotations

import re
import sqlite3
from contextlib import closing
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import flask
import pytest
from doc_blocks import blocks, runs
from flask import Flask
from visitor import Visitor

import flask_openrouter
from flask_openrouter import OpenRouterAuth
from flask_openrouter.emulator import Emulator
from flask_openrouter.testing import app_config


@pytest.fixture
def app(emulator: Emulator, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Flask:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "templates").mkdir()
    app = Flask("documented", root_path=str(tmp_path), instance_path=str(tmp_path / "instance"))
    app.config.update(app_config(emulator))
    return app


def run(app: Flask, page: str, words: str) -> dict[str, Any]:
    """Run the blocks of a page that contain these words, and return their names."""
    (found,) = [
        run
        for run in runs("python")
        if run[0].page.stem == page and any(words in block.code for block in run)
    ]
    names = {name: getattr(flask_openrouter, name) for name in flask_openrouter.__all__}
    names |= {name: getattr(flask, name) for name in ("request", "session", "url_for")}
    namespace: dict[str, Any] = {**names, "__name__": "documented", "app": app}
    for block in found:
        exec(compile(block.code, block.name, "exec"), namespace)  # noqa: S102 - our documentation
    return namespace


def is_connected(visitor: Visitor) -> bool:
    return bool((visitor.get("/openrouter/status").json or {})["connected"])


def test_a_visitor_who_signs_up_keeps_the_key(app: Flask, emulator: Emulator) -> None:
    auth = run(app, "users", "users.append(request.form")["auth"]
    visitor, other = Visitor(app), Visitor(app)
    visitor.connect(emulator)
    other.connect(emulator)
    for each in (visitor, other):
        assert each.post("/sign-up", data={"name": "A name"}).status_code == 302
        assert is_connected(each)
    with app.app_context():
        assert sorted(owner.owner_id for owner in auth.list_owners()) == ["1", "2"]
    # The browser itself has none any more.
    visitor.client.delete_cookie("session")
    assert not is_connected(visitor)


def test_a_client_with_a_token_has_the_key_that_its_user_connected_in_a_browser(
    app: Flask, emulator: Emulator
) -> None:
    app.config["OPENROUTER_STORAGE_URI"] = "memory://"
    auth = OpenRouterAuth(app)
    users = {"Bearer of-ada": "ada", "Bearer of-bob": "bob"}

    @auth.owner_loader
    def owner_id() -> str | None:
        token = flask.request.headers.get("Authorization", "")
        return users.get(token) or flask.session.get("user_id")

    browser = Visitor(app)
    with browser.client.session_transaction() as session:
        session["user_id"] = "ada"
    browser.connect(emulator)
    answers = [
        app.test_client().get("/openrouter/status", headers=headers).json
        for headers in ({"Authorization": token} for token in (*users, "Bearer stolen"))
    ]
    assert [(answer or {})["connected"] for answer in answers] == [True, False, False]


def test_a_table_of_keys_moves_in_as_many_runs_as_it_takes(app: Flask, emulator: Emulator) -> None:
    auth = run(app, "coming-from", "import-keys")["auth"]
    keys = {1: emulator.issue_key(), 2: emulator.issue_key(), 3: "no key", 4: emulator.issue_key()}
    emulator.revoke(keys[2])
    with closing(sqlite3.connect("users.db")) as database:
        database.execute("CREATE TABLE api_keys (user_id INTEGER, api_key TEXT)")
        database.executemany("INSERT INTO api_keys VALUES (?, ?)", keys.items())
        database.commit()

    def left() -> list[int]:
        with closing(sqlite3.connect("users.db")) as database:
            return [row[0] for row in database.execute("SELECT user_id FROM api_keys")]

    command = app.test_cli_runner().invoke
    with emulator.faults(times=None, status=500, path="/api/v1/key"):
        result = command(args=["import-keys"])
    assert result.exit_code == 1
    assert left() == [1, 2, 3, 4]
    for _ in range(2):
        result = command(args=["import-keys"])
        assert result.exit_code == 0, result.output
        assert re.findall(r"^\d", result.output, re.M) == ["2", "3"]
        assert left() == [2, 3]
        for key in keys.values():
            assert key not in result.output
    with app.app_context():
        assert sorted(owner.owner_id for owner in auth.list_owners()) == ["1", "4"]
        assert [auth.for_owner(user).api_key for user in (1, 4)] == [keys[1], keys[4]]


@pytest.mark.requirement("A7")
def test_an_admin_sees_the_owners_and_forgets_a_key(app: Flask, emulator: Emulator) -> None:
    (template,) = [b.code for b in blocks("html") if b.page.stem == "users"]
    Path("templates/keys.html").write_text(template, "utf-8")
    if find_spec("flask_babel"):
        import_module("flask_babel").Babel(app)
    auth = run(app, "users", "class KeysView")["auth"]
    key = emulator.issue_key()
    with app.app_context():
        auth.import_key("<ada>", key)
        auth.import_key("bob", emulator.issue_key())
    visitor = Visitor(app)
    assert visitor.get("/admin/keys/").status_code == 403
    with visitor.client.session_transaction() as session:
        session["is_admin"] = True
    page = visitor.get("/admin/keys/").text
    assert "&lt;ada&gt;" in page
    assert "bob" in page
    assert key[-4:] not in page
    (token,) = set(re.findall(r'name="csrf_token" value="([^"]+)"', page))
    assert visitor.post("/admin/keys/forget", data={"owner_id": "bob"}).status_code == 400
    form = {"owner_id": "<ada>", "csrf_token": token}
    assert visitor.post("/admin/keys/forget", data=form).status_code == 302
    assert "ada" not in visitor.get("/admin/keys/").text
    with app.app_context():
        assert [owner.owner_id for owner in auth.list_owners()] == ["bob"]
