"""What the log says about the owners of keys."""

from __future__ import annotations

import logging
from typing import Any

import flask_login
import pytest
from flask import Flask
from full_storage import FullStorage

from flask_openrouter.login.owner import adopt
from flask_openrouter.storage.record import KeyRecord


class User(flask_login.UserMixin):  # type: ignore[misc]
    id = None

    def get_id(self) -> str:
        return "a token"


@pytest.mark.requirement("W5")
def test_an_owner_that_may_change_is_logged_once(
    app: Flask, caplog: pytest.LogCaptureFixture
) -> None:
    flask_login.LoginManager(app)
    for _ in range(2):
        with app.test_request_context():
            flask_login.login_user(User())
            assert app.extensions["openrouter"].owners.app_user() == "a token"
    assert [each for each in caplog.messages if "get_id()" in each] == [
        "Keys of signed-in users belong to current_user.get_id(), because User has no primary key"
        " that is known to be unique among all users. If get_id() changes, such as with the"
        " password, the key is lost. Return an id that stays the same from @auth.owner_loader."
    ]


def test_a_key_that_cannot_be_moved_now_is_used_all_the_same(
    make_app: Any, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    storage = FullStorage()
    vault = make_app({"storage": storage}).extensions["openrouter"].vault
    record = KeyRecord("sk-or-v1-0123456789", None, 1_800_000_000)
    vault.save("before", record)
    for storage.is_full in (True, False):
        assert adopt(vault, "before", "1") == record
        assert (vault.load("1") is None) is storage.is_full
    assert vault.load("before") is None
    assert adopt(vault, "before", "1") is None
    owner = "[owner 6b86b273ff34]"  # printf %s 1 | sha256sum
    assert caplog.record_tuples == [
        (
            "flask_openrouter",
            logging.WARNING,
            "A key could not be moved to its owner's primary key. Saving the key failed: the"
            f" storage raised OSError. {owner}",
        ),
        (
            "flask_openrouter",
            logging.INFO,
            f"A key was moved to its owner's primary key. {owner}",
        ),
    ]
