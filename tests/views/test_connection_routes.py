"""The routes of a connection: disconnect, and the status for front ends."""

from __future__ import annotations

from typing import Any

import pytest
from attack import save_jar
from flask import Flask, session
from visitor import Visitor

from flask_openrouter import current_openrouter
from flask_openrouter.emulator import Emulator
from flask_openrouter.storage.memory import MemoryStorage


@pytest.mark.requirement("R53")
def test_disconnect_is_idempotent_and_clears_only_its_own_things(
    make_app: Any, emulator: Emulator
) -> None:
    app = make_app()

    @app.get("/sign-in")
    def sign_in() -> str:
        session.update(user="alice", cart=[1, 2])
        return "hello"

    @app.get("/me")
    def me() -> dict[str, Any]:
        return dict(session)

    visitor = Visitor(app)
    visitor.get("/sign-in")
    connected = visitor.connect(emulator)
    visitor.client.set_cookie("other", "1")
    (put,) = [line for line in connected.headers.getlist("Set-Cookie") if "openrouter=" in line]
    waiting = emulator.approve(visitor.start("/b"))

    gone = visitor.post("/openrouter/disconnect")

    (deleted,) = gone.headers.getlist("Set-Cookie")
    attributes = [
        {part.strip() for part in line.split(";")[1:] if "age" not in part.lower()}
        for line in (put, deleted)
    ]
    assert {p for p in attributes[0] if "xpires" not in p} == {
        p for p in attributes[1] if "xpires" not in p
    }
    assert "Max-Age=0" in deleted
    assert visitor.key is None
    for _ in range(2):
        again = visitor.post("/openrouter/disconnect")
        assert again.status_code == 303
        assert "Set-Cookie" not in again.headers
    host = visitor.get("/me").json
    assert host is not None
    assert (host["user"], host["cart"]) == ("alice", [1, 2])
    assert visitor.client.get_cookie("other") is not None
    # A login under way is not a connection, and is not ended.
    assert visitor.get(waiting).location == "/b"


def test_after_a_disconnect_the_browser_proves_no_id_any_more(
    make_app: Any, emulator: Emulator
) -> None:
    visitor = Visitor(make_app({"storage": MemoryStorage()}))
    visitor.connect(emulator)
    assert "openrouter" in save_jar(visitor)
    visitor.post("/openrouter/disconnect")
    assert "openrouter" not in save_jar(visitor)


def test_the_status_tells_whether_this_visitor_is_connected(
    app: Flask, visitor: Visitor, emulator: Emulator
) -> None:
    keys = []

    @app.get("/key")
    def look() -> str:
        keys.append(current_openrouter.api_key)
        return ""

    not_connected = {"connected": False, "masked_key": None, "login_url": "/openrouter/login"}
    assert visitor.get("/openrouter/status").json == not_connected
    visitor.connect(emulator)
    visitor.get("/key")
    answer = visitor.get("/openrouter/status")
    assert answer.json == {
        "connected": True,
        "masked_key": f"sk-or-v1-…{keys[0][-4:]}",
        "login_url": "/openrouter/login",
    }
    assert keys[0][:-4] not in answer.text
    assert Visitor(app).get("/openrouter/status").json == not_connected


def test_only_scripts_of_this_origin_can_read_the_status(
    visitor: Visitor, emulator: Emulator
) -> None:
    visitor.connect(emulator)
    client = visitor.client
    for headers in ({"Sec-Fetch-Mode": "cors", "Sec-Fetch-Dest": "empty"}, {}):
        answer = client.get("/openrouter/status", headers=headers)
        assert (answer.status_code, answer.is_json) == (200, True)
        assert answer.headers["Cache-Control"] == "no-store"
        assert "Cookie" in answer.headers["Vary"]
        assert "Access-Control-Allow-Origin" not in answer.headers
        assert "Set-Cookie" not in answer.headers
    evil = client.get("/openrouter/status", headers={"Origin": "https://evil.example"})
    assert not [name for name, _ in evil.headers if name.startswith("Access-Control")]


def test_the_login_url_of_the_status_includes_the_mount_point(make_app: Any) -> None:
    client = make_app({"url_prefix": "/in/here"}).test_client()
    answer = client.get("/in/here/status", base_url="http://localhost/sub")
    assert answer.json["login_url"] == "/sub/in/here/login"


def test_while_the_storage_is_down_the_status_is_an_error(make_app: Any) -> None:
    """It must not tell that the visitor is not connected."""

    class Down:
        def get(self, owner_id: str) -> str | None:
            raise OSError("down")

        set = delete = get

    app = make_app({"storage": Down()})
    app.extensions["openrouter"].app_functions.owner_loader = lambda: "alice"
    for headers in ({}, {"Accept": "application/json"}):
        answer = Visitor(app).get("/openrouter/status", **headers)
        assert answer.status_code == 503
        assert answer.json is not None
        assert answer.json["error"] == "storage_unavailable"
