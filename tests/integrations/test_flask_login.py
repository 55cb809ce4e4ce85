"""Flask-Login, as its documentation sets it up: a key belongs to the user and follows them."""

from __future__ import annotations

from typing import Any

import flask_login
import pytest
from flask import Flask
from visitor import Visitor

from flask_openrouter import current_openrouter
from flask_openrouter.emulator import Emulator


class User(flask_login.UserMixin):
    def __init__(self, name: str) -> None:
        self.id = name


@pytest.fixture
def app(make_app: Any) -> Flask:
    app: Flask = make_app(OPENROUTER_STORAGE_URI="memory://")
    login_manager = flask_login.LoginManager()
    login_manager.init_app(app)

    @login_manager.user_loader
    def load_user(user_id: str) -> User:
        return User(user_id)

    @app.post("/login/<name>")
    def login(name: str) -> str:
        flask_login.login_user(User(name))
        return "welcome"

    @app.post("/logout")
    @flask_login.login_required
    def logout() -> str:
        flask_login.logout_user()
        return "bye"

    @app.get("/account")
    @flask_login.login_required
    def account() -> str:
        return current_openrouter.masked_key if current_openrouter else "not connected"

    return app


@pytest.fixture
def alice(visitor: Visitor) -> Visitor:
    visitor.post("/login/alice")
    return visitor


def test_the_key_follows_the_user_to_another_browser(
    app: Flask, alice: Visitor, emulator: Emulator
) -> None:
    assert alice.connect(emulator, "/account").location == "/account"
    other = Visitor(app)
    assert other.get("/account").status_code == 401
    other.post("/login/alice")
    assert other.key == alice.key is not None
    assert other.get("/account").text.startswith("sk-or-")


def test_disconnecting_disconnects_the_user_everywhere(
    app: Flask, alice: Visitor, emulator: Emulator
) -> None:
    alice.connect(emulator)
    other = Visitor(app)
    other.post("/login/alice")
    assert other.post("/openrouter/disconnect").status_code == 303
    assert alice.key is None
