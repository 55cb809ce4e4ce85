"""The main job, end to end in one process: connect, use the key, disconnect."""

from __future__ import annotations

import pytest
from flask import Flask
from visitor import Visitor, fingerprint

from flask_openrouter import current_openrouter, requires_openrouter_key
from flask_openrouter.emulator import Emulator


def test_a_visitor_connects_uses_the_key_and_disconnects(
    visitor: Visitor, emulator: Emulator
) -> None:
    refused = visitor.get("/guarded?x=1")
    assert refused.status_code == 303
    assert refused.location == "/openrouter/login?next=/guarded?x%3D1"

    landed = visitor.connect(emulator, "/guarded?x=1")

    assert (landed.status_code, landed.location) == (303, "/guarded?x=1")
    assert visitor.key is not None
    assert emulator.count("POST", "/api/v1/auth/keys") == 1

    gone = visitor.post("/openrouter/disconnect")

    assert gone.status_code == 303
    page = visitor.get(gone.location)
    assert "still exists at OpenRouter" in page.text
    assert visitor.key is None


@pytest.mark.requirement("R71")
def test_the_connection_tells_about_the_key(
    app: Flask, visitor: Visitor, emulator: Emulator
) -> None:
    seen = {}

    @app.get("/about")
    def about() -> str:
        seen.update(
            masked=current_openrouter.masked_key,
            user=current_openrouter.openrouter_user_id,
            settings=current_openrouter.settings_url,
            logs=current_openrouter.logs_url,
            at=current_openrouter.connected_at.timestamp(),
            key=current_openrouter.api_key,
            limit=current_openrouter.key_info().limit,
            models=len(current_openrouter.session.get("models").json()["data"]),
        )
        return "ok"

    visitor.connect(emulator)
    assert visitor.get("/about").text == "ok"
    key_hash = fingerprint(seen["key"])
    assert seen["masked"] == f"sk-or-v1-…{seen['key'][-4:]}"
    assert seen["settings"] == f"{emulator.url}/keys/{key_hash}"
    assert seen["logs"] == f"{emulator.url}/logs?api_key_hash={key_hash}"
    assert seen["at"] == 1_800_000_000
    assert seen["user"].startswith("user_")
    assert seen["models"] > 1


@pytest.mark.requirement("R99")
def test_a_key_that_openrouter_rejects_is_forgotten_and_the_visitor_asked_again(
    app: Flask, visitor: Visitor, emulator: Emulator
) -> None:
    keys = []

    @app.get("/info")
    @requires_openrouter_key
    def info() -> str:
        keys.append(current_openrouter.api_key)
        return str(current_openrouter.session.get("key").status_code)

    visitor.connect(emulator)
    assert visitor.get("/info").text == "200"
    emulator.revoke(keys[0])

    answer = visitor.get("/info")

    assert (answer.status_code, answer.location) == (303, "/openrouter/login?next=/info")
    assert visitor.key is None
