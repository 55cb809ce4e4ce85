"""``flask openrouter forget OWNER`` deletes what is stored for one owner."""

from __future__ import annotations

from collections.abc import Callable

from click.testing import Result
from flask import Flask
from visitor import Visitor

from flask_openrouter.emulator import Emulator


def forget(app: Flask, owner_id: str) -> Result:
    return app.test_cli_runner().invoke(args=["openrouter", "forget", owner_id])


def test_forget_deletes_what_is_stored_for_one_owner(
    make_shared_app: Callable[..., Flask], emulator: Emulator
) -> None:
    app = make_shared_app()
    ada, bob = Visitor(app), Visitor(app)
    ada.client.environ_base["HTTP_X_USER"] = "ada"
    bob.client.environ_base["HTTP_X_USER"] = "bob"
    ada.connect(emulator)
    bob.connect(emulator)
    result = forget(app, "ada")
    assert (result.exit_code, result.stderr) == (0, "")
    assert result.stdout.startswith("Forgotten. The key itself")
    assert ada.key is None
    assert bob.key is not None


def test_forget_says_when_there_is_nothing(make_shared_app: Callable[..., Flask]) -> None:
    result = forget(make_shared_app(), "nobody")
    assert (result.exit_code, result.stdout) == (0, "Nothing is stored for this owner.\n")


def test_forget_says_that_it_cannot_reach_the_visitors_browsers(app: Flask) -> None:
    result = forget(app, "ada")
    assert result.exit_code == 1
    assert "Only a visitor's own browser" in result.stderr
