"""Apps in the shape of well-known ones, with the extension added: nothing clashes."""

from __future__ import annotations

import re
import secrets
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
from components import require
from flask import Flask
from project_files import ROOT
from replicas import quickstart
from visitor import Visitor

from flask_openrouter.emulator import Emulator
from flask_openrouter.errors import KeyRejectedError

PASSWORD = secrets.token_urlsafe()
#: By the name of the replica: what it is called in the documentation, and a package it needs.
APPS = {
    "microblog": ("microblog", "flask_migrate"),
    "flaskr": ("flaskr", "flask"),
    "security": ("Flask-Security", "flask_security"),
    "appbuilder": ("Flask-AppBuilder", "flask_appbuilder"),
    "quickstart": ("openai-quickstart-python", "openai"),
}
WITH_USERS = [name for name in APPS if name != "quickstart"]


@pytest.fixture
def config(emulator: Emulator, tmp_path: Path) -> dict[str, Any]:
    return {
        "SECRET_KEY": secrets.token_hex(),
        "OPENROUTER_BASE_URL": emulator.url,
        "OPENROUTER_EMULATOR": True,
        "FOLDER": str(tmp_path),
    }


@pytest.fixture(params=WITH_USERS)
def replica(request: pytest.FixtureRequest) -> Any:
    package = APPS[request.param][1]
    if find_spec(package) is None:
        require(package, "not installed (pip install --group test)")
    return import_module(f"replicas.{request.param}")


@pytest.fixture
def app(replica: Any, config: dict[str, Any]) -> Flask:
    app: Flask = replica.create_app(config)
    replica.add_users(app, ["ada", "bob"], PASSWORD)
    return app


def sign_in(visitor: Visitor, replica: Any, name: str) -> None:
    token = re.search(r'name="csrf_token"[^>]* value="([^"]+)', visitor.get(replica.SIGN_IN).text)
    form = {
        "username": name,
        "email": f"{name}@example.com",
        "password": PASSWORD,
        "csrf_token": token[1] if token else "",
    }
    assert visitor.post(replica.SIGN_IN, data=form).status_code == 302


def sign_out(visitor: Visitor, replica: Any) -> None:
    left = visitor.get(replica.SIGN_OUT)
    if left.status_code == 405:
        left = visitor.post(replica.SIGN_OUT)
    assert left.status_code == 302


def test_a_signed_in_user_connects_and_uses_a_guarded_view(
    app: Flask, replica: Any, emulator: Emulator
) -> None:
    def page(name: str) -> str | None:
        """Return the guarded view's words, or None if it asks this user to connect."""
        answer = visitor.get(replica.GUARDED)
        if answer.status_code == 200:
            assert re.fullmatch(rf"{name}(@example.com)?: sk-or-v1-\S+", answer.text)
            return answer.text
        assert (answer.status_code, answer.location) == (303, login_url)
        return None

    login_url = f"/openrouter/login?next={replica.GUARDED}"
    visitor = Visitor(app)
    sign_in(visitor, replica, "ada")
    assert page("ada") is None
    assert visitor.connect(emulator, replica.GUARDED).location == replica.GUARDED
    keys_of_ada = page("ada")
    assert keys_of_ada

    sign_out(visitor, replica)
    sign_in(visitor, replica, "bob")
    assert page("bob") is None
    sign_out(visitor, replica)
    sign_in(visitor, replica, "ada")
    assert page("ada") == keys_of_ada

    assert visitor.post("/openrouter/disconnect").status_code == 303
    assert page("ada") is None


def test_the_quick_start_streams_with_the_visitors_key_and_notices_when_it_is_gone(
    config: dict[str, Any], emulator: Emulator
) -> None:
    app = quickstart.create_app(config)
    visitor = Visitor(app)
    stream = {"Accept": "text/event-stream", "Sec-Fetch-Mode": "cors", "Sec-Fetch-Dest": "empty"}
    assert "Connect OpenRouter" in visitor.get("/").text
    assert "event: openrouter\n" in visitor.get("/stream", **stream).text
    visitor.connect(emulator, "/")
    assert "Connect OpenRouter" not in visitor.get("/").text
    assert visitor.client.post("/chat", json={"message": "Hello?"}).json == {"success": True}
    words = visitor.get("/stream", **stream).text
    assert words.startswith("data: ")
    assert quickstart.chat_history[-1]["role"] == "assistant"

    emulator.reset()  # every key is gone
    with pytest.raises(KeyRejectedError):
        visitor.get("/stream", **stream)
    assert "Connect OpenRouter" in visitor.get("/").text


def test_the_documentation_counts_the_lines_that_were_added() -> None:
    page = (ROOT / "docs" / "field.md").read_text(encoding="utf-8")
    rows = re.findall(r"^- ([\w-]+), (\d+): ", page, re.M)
    folder = Path(__file__).parent
    assert rows == [
        (title, str((folder / f"{name}.py").read_text(encoding="utf-8").count("  # added\n")))
        for name, (title, _) in APPS.items()
    ]
