"""Flask-Session, as its documentation sets it up: the session lives on the server."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from cachelib.file import FileSystemCache
from flask import Flask, session
from flask_session import Session
from visitor import Visitor

from flask_openrouter.emulator import Emulator


@pytest.fixture
def app(make_app: Any, tmp_path: Path) -> Flask:
    app: Flask = make_app(
        SESSION_TYPE="cachelib",
        SESSION_SERIALIZATION_FORMAT="json",
        SESSION_CACHELIB=FileSystemCache(threshold=500, cache_dir=str(tmp_path)),
    )
    Session(app)

    @app.get("/count")
    def count() -> str:
        session["count"] = session.get("count", 0) + 1
        return str(session["count"])

    @app.post("/leave")
    def leave() -> str:
        session.clear()
        return "bye"

    return app


@pytest.mark.requirement("R28", "R100")
def test_a_login_leaves_nothing_in_the_store_of_the_sessions(
    visitor: Visitor, emulator: Emulator, tmp_path: Path
) -> None:
    stored = len(list(tmp_path.iterdir()))
    authorization_url = visitor.start("/guarded")
    assert visitor.client.get_cookie("session") is None
    assert len(list(tmp_path.iterdir())) == stored
    visitor.get("/count")
    assert visitor.get(emulator.approve(authorization_url)).location == "/guarded"
    assert visitor.key is not None
    assert visitor.get("/count").text == "2"


def test_the_key_is_not_in_the_session(
    visitor: Visitor, emulator: Emulator, tmp_path: Path
) -> None:
    """So it outlives the session, and the store of the sessions holds no secret."""
    visitor.connect(emulator)
    stored = b"".join(file.read_bytes() for file in tmp_path.iterdir())
    assert b"sk-or-" not in stored
    visitor.post("/leave")
    assert visitor.key is not None


@pytest.mark.requirement("W7")
def test_a_login_outlives_the_session(visitor: Visitor, emulator: Emulator, tmp_path: Path) -> None:
    callback = emulator.approve(visitor.start())
    for file in tmp_path.iterdir():
        file.unlink()
    visitor.post("/leave")
    assert visitor.get(callback).status_code == 303
    assert visitor.key is not None


def test_a_browser_cannot_finish_the_login_of_another(
    app: Flask, visitor: Visitor, emulator: Emulator
) -> None:
    callback = emulator.approve(visitor.start())
    other = Visitor(app)
    other.start()
    assert other.get(callback).status_code == 400
    assert visitor.get(callback).status_code == 303
