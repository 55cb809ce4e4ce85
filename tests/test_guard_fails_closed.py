"""The guard stays closed when the storage, the owner or a login is not valid."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from flask import Flask
from visitor import Visitor

from flask_openrouter import requires_openrouter_key
from flask_openrouter.emulator import Emulator

MakeApp = Callable[..., Flask]


class JunkStorage:
    """Returns or raises ``junk``."""

    def __init__(self) -> None:
        self.junk: Any = None

    def get(self, owner_id: str) -> Any:
        if isinstance(self.junk, BaseException):
            raise self.junk
        return self.junk

    def set(self, owner_id: str, ciphertext: str) -> None:
        self.junk = ciphertext

    def delete(self, owner_id: str) -> None: ...


JUNK: list[object] = ["", b"", 0, {}, " ", None, False, [], b"sk-or-v1-0", "AQ", "AQ==", "\0"]
JUNK += ["sk-or-v1-" + "0" * 64, "." * 100_000, "\ud800", OSError("down"), TimeoutError()]
JUNK += [RuntimeError("x"), KeyError("x"), RecursionError(), MemoryError()]


@pytest.mark.requirement("R55")
def test_the_guard_fails_closed_whatever_the_storage_returns(
    make_app: MakeApp, emulator: Emulator
) -> None:
    storage = JunkStorage()
    app = make_app({"storage": storage})
    ran = []

    @app.get("/mine")
    @requires_openrouter_key
    def mine() -> str:
        ran.append(1)
        return "mine"

    visitor = Visitor(app)
    visitor.connect(emulator)
    good = storage.junk
    assert visitor.get("/mine").text == "mine"
    for number, junk in enumerate(JUNK, 1):
        storage.junk = junk
        for headers in ({}, {"Accept": "application/json"}):
            status = visitor.get("/mine", **headers).status_code
            expected = (503,) if isinstance(junk, Exception) else (303, 401)
            assert status in expected, ascii(junk)[:40]
        assert len(ran) == number, ascii(junk)[:40]
        storage.junk = good
        assert visitor.get("/mine").text == "mine", ascii(junk)[:40]


@pytest.mark.requirement("R55")
def test_the_guard_fails_closed_when_the_owner_is_not_valid(app: Flask, emulator: Emulator) -> None:
    answers: list[Any] = []
    app.extensions["openrouter"].app_functions.owner_loader = lambda: answers[-1]
    visitor = Visitor(app)
    for owner_id in (
        "",
        "x" * 256,
        "a\0b",
        "browser:abc",
        1.5,
        True,
        b"alice",
        ["alice"],
        object(),
    ):
        answers.append(owner_id)
        assert visitor.get("/guarded").status_code == 503
        assert visitor.get("/openrouter/login").status_code == 503
        assert visitor.get("/openrouter/status").status_code == 503
    answers.append("alice")
    visitor.connect(emulator)
    assert visitor.key is not None
    answers.append("bob")
    assert visitor.key is None


@pytest.mark.requirement("R55")
def test_an_unfinished_login_opens_no_guarded_view(visitor: Visitor, emulator: Emulator) -> None:
    """Neither does one that the visitor declined, or one that OpenRouter refused."""
    ran = []

    @visitor.app.get("/mine")
    @requires_openrouter_key
    def mine() -> str:
        ran.append(1)
        return "mine"

    visitor.start()
    assert visitor.get("/mine").status_code == 303
    visitor.get(emulator.deny(visitor.start()))
    assert visitor.get("/mine").status_code == 303
    with emulator.faults(status=403, path="/api/v1/auth/keys"):
        visitor.connect(emulator)
    assert visitor.get("/mine").status_code == 303
    assert ran == []
