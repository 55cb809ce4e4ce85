"""The owner of a key is proven, and forgetting a key leaves nothing of it."""

from __future__ import annotations

from typing import Any

import flask_login
import pytest
from failing_storage import FailingStorage
from flask import Flask
from full_storage import FullStorage
from visitor import Visitor

from flask_openrouter import current_openrouter
from flask_openrouter.emulator import Emulator


def add_views(app: Flask) -> Flask:
    app.add_url_rule("/owner", "owner", lambda: str(current_openrouter.owner_id))

    @app.post("/leave")
    def leave() -> str:
        current_openrouter.disconnect()
        return "bye"

    return app


@pytest.mark.requirement("A6")
@pytest.mark.parametrize("is_user", [False, True])
def test_nobody_can_choose_the_owner_that_they_are(
    is_user: bool, make_app: Any, emulator: Emulator
) -> None:
    app = add_views(make_app())
    victim, attacker = Visitor(app), Visitor(app)
    victim.connect(emulator)
    owner_id = victim.get("/owner").text
    assert owner_id.startswith("browser:")
    cookie = victim.client.get_cookie("openrouter")
    assert cookie is not None
    name, _, ciphertext = cookie.value.partition(".")
    if is_user:
        app.extensions["openrouter"].app_functions.owner_loader = lambda: None
    for claim in (f"{name}.x", f"{name}.", name, f"{name}.{ciphertext[:-2]}AA", "x.y", "~x.y", "."):
        attacker.client.set_cookie("openrouter", claim)
        assert attacker.get("/owner").text == "None", claim
    # The same browser, with what proves it.
    assert victim.get("/owner").text == owner_id


def test_an_owner_stays_the_same_while_a_key_is_set_aside(
    make_app: Any, emulator: Emulator
) -> None:
    app = add_views(make_app())

    @app.get("/info")
    def info() -> str:
        return str(current_openrouter.key_info())

    visitor = Visitor(app)
    visitor.connect(emulator)
    owner_id = visitor.get("/owner").text
    with emulator.faults(status=401, path="/api/v1/key"):
        assert visitor.get("/info").status_code == 303
    assert visitor.get("/owner").text == owner_id


@pytest.mark.requirement("A8")
@pytest.mark.parametrize("path", ["/leave", "/openrouter/disconnect"])
def test_a_disconnect_gives_up_a_key_that_waits_to_be_saved(
    path: str, make_app: Any, emulator: Emulator
) -> None:
    """On a shared computer, somebody else would save it otherwise."""
    storage = FullStorage()
    storage.is_full = True
    app = add_views(make_app({"storage": storage}))
    visitor = Visitor(app)
    assert visitor.connect(emulator).status_code == 503
    waiting = visitor.client.get_cookie("openrouter~unsaved")
    assert waiting is not None
    assert visitor.post(path).status_code in (200, 303)
    storage.is_full = False
    assert visitor.post("/openrouter/save").status_code == 400
    # Not even with a copy of the cookie.
    visitor.client.set_cookie("openrouter~unsaved", waiting.value)
    assert visitor.post("/openrouter/save").status_code == 400
    assert visitor.key is None


class Member(flask_login.UserMixin):
    id: int | None = None

    def get_id(self) -> str:
        return "3f0c9a5e7b1d4c2f8a6e0b9d7c5a3f1e"


@pytest.mark.requirement("A8", "W5")
def test_a_disconnect_forgets_the_entry_of_an_earlier_release_too(
    make_app: Any, emulator: Emulator
) -> None:
    """It was copied to the primary key and could not be deleted at that time."""
    storage, member = FailingStorage(), Member()
    app = add_views(make_app({"storage": storage}))
    flask_login.LoginManager(app).request_loader(lambda _: member)
    visitor = Visitor(app)
    visitor.connect(emulator)
    assert visitor.get("/owner").text == member.get_id()
    member.id, storage.failing = 1, {"delete"}
    assert visitor.key is not None
    storage.failing = set()
    assert visitor.post("/leave").text == "bye"
    assert visitor.key is None
