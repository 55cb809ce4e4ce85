"""Users of the app (Flask-Login, strong session protection) over every storage."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from flask_login import LoginManager, UserMixin, login_user, logout_user
from visitor import Visitor

from flask_openrouter.emulator import Emulator
from flask_openrouter.storage.memory import MemoryStorage


class User(UserMixin):  # type: ignore[misc]
    def __init__(self, user_id: str) -> None:
        self.id = user_id


@pytest.fixture
def app(
    make_app: Callable[..., Flask],
    request: pytest.FixtureRequest,
    storage_kind: str,
    tmp_path: Path,
) -> Iterator[Flask]:
    config: dict[str, Any] = {}
    if storage_kind == "memory":
        config["OPENROUTER_STORAGE_URI"] = "memory://"
    elif storage_kind == "sqlite":
        config["OPENROUTER_STORAGE_URI"] = f"sqlite:///{tmp_path}/keys.db"
    elif storage_kind == "postgresql":
        config["OPENROUTER_STORAGE_URI"] = request.getfixturevalue("postgresql_url")
    elif storage_kind == "redis":
        config["OPENROUTER_STORAGE_URI"] = request.getfixturevalue("redis_server").url
    app = make_app(**config)
    manager = LoginManager(app)
    manager.session_protection = "strong"
    manager.user_loader(User)

    @app.post("/sign-in/<user_id>")
    def sign_in(user_id: str) -> str:
        login_user(User(user_id))
        return user_id

    @app.post("/sign-out")
    def sign_out() -> str:
        logout_user()
        return "bye"

    yield app
    close = getattr(app.extensions["openrouter"].vault.storage, "close", None)
    if close is not None:
        close()


def exchanges(emulator: Emulator) -> int:
    return emulator.count("POST", "/api/v1/auth/keys")


@pytest.mark.requirement("R21")
def test_a_switch_of_accounts_never_crosses_keys(
    visitor: Visitor, emulator: Emulator, storage_kind: str
) -> None:
    visitor.post("/sign-in/A")
    visitor.connect(emulator)
    of_a = visitor.key
    assert of_a is not None

    visitor.post("/sign-out")
    assert visitor.key is None
    visitor.post("/sign-in/B")
    assert visitor.key is None
    visitor.connect(emulator)
    of_b = visitor.key
    assert of_b not in (None, of_a)

    visitor.post("/sign-out")
    assert visitor.key is None
    visitor.post("/sign-in/A")
    # One browser has one cookie: there, connecting as B took the place of A's key.
    assert visitor.key == (None if storage_kind == "cookie" else of_a)
    visitor.post("/sign-out")
    visitor.post("/sign-in/B")
    assert visitor.key == of_b


@pytest.mark.requirement("R22")
def test_a_login_under_way_ends_with_the_account(visitor: Visitor, emulator: Emulator) -> None:
    visitor.post("/sign-in/A")
    callback = emulator.approve(visitor.start())
    visitor.post("/sign-out")
    visitor.post("/sign-in/B")
    assert visitor.get(callback).status_code == 400
    assert (visitor.key, exchanges(emulator)) == (None, 0)


@pytest.mark.requirement("W23")
def test_strong_protection_signs_out_and_with_it_goes_the_key_until_the_next_sign_in(
    visitor: Visitor, emulator: Emulator
) -> None:
    """Flask-Login empties the session when the browser looks like another one."""
    visitor.post("/sign-in/A")
    visitor.connect(emulator)
    key = visitor.key
    callback = emulator.approve(visitor.start())

    visitor.client.environ_base["HTTP_USER_AGENT"] = "another browser"
    assert visitor.key is None
    assert visitor.get(callback).status_code == 200
    page = visitor.get(callback)
    assert page.status_code == 400
    assert "You are signed out of this site" in page.text
    assert "browser was updated" in page.text
    assert exchanges(emulator) == 1
    assert visitor.get("/openrouter/status").json == {
        "connected": False,
        "login_url": "/openrouter/login",
        "masked_key": None,
    }

    visitor.post("/sign-in/A")
    assert visitor.key == key


def test_who_the_visitor_is_need_not_be_known_once_the_code_is_spent(
    make_app: Callable[..., Flask], emulator: Emulator
) -> None:
    """The database that the app asks for its users may go down during the exchange."""
    failing: set[str] = set()
    made_before = exchanges(emulator)

    def load_owner() -> str:
        if exchanges(emulator) > made_before and "loader" in failing:
            raise OSError("the users' database is down")
        return "ada"

    class Failing(MemoryStorage):
        def set(self, owner_id: str, ciphertext: str) -> None:
            if "storage" in failing:
                raise OSError("the keys' database is down")
            super().set(owner_id, ciphertext)

    app = make_app({"storage": Failing()})
    app.extensions["openrouter"].app_functions.owner_loader = load_owner
    visitor = Visitor(app)
    for failure in ({"loader"}, {"loader", "storage"}):
        callback = emulator.approve(visitor.start())
        made_before = exchanges(emulator)
        failing |= failure
        answer = visitor.get(callback)
        failing.clear()
        assert answer.status_code == (503 if "storage" in failure else 303)
        assert exchanges(emulator) == made_before + 1
    old = visitor.key
    assert visitor.post("/openrouter/save").status_code == 303
    assert visitor.key not in (None, old)


def test_a_key_that_was_half_saved_leaves_no_entry_behind(
    make_app: Callable[..., Flask], emulator: Emulator
) -> None:
    """The storage stores it and fails to say so: what is saved later takes the same place."""

    class Muted(MemoryStorage):
        is_mute = True

        def set(self, owner_id: str, ciphertext: str) -> None:
            super().set(owner_id, ciphertext)
            if self.is_mute:
                raise OSError("connection lost")

    storage = Muted()
    visitor = Visitor(make_app({"storage": storage}))
    assert visitor.connect(emulator).status_code == 503
    storage.is_mute = False
    assert visitor.post("/openrouter/save").status_code == 303
    assert visitor.key is not None
    assert storage.count_owners() == 1
    visitor.post("/openrouter/disconnect")
    assert storage.count_owners() == 0
