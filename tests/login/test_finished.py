"""Visitors who reload a callback or go back to it."""

from __future__ import annotations

import pytest
from attack import assert_refused, exchanges
from flask import Flask
from visitor import Visitor

from flask_openrouter.emulator import Emulator


@pytest.mark.requirement("R4", "F30")
def test_a_reloaded_callback_redirects_again_and_sends_no_code_twice(
    visitor: Visitor, emulator: Emulator
) -> None:
    """Only in the browser that finished the login."""
    callback = emulator.approve(visitor.start("/guarded"))
    assert visitor.get(callback).location == "/guarded"
    key = visitor.key
    for _ in range(3):
        again = visitor.get(callback)
        assert (again.status_code, again.location) == (303, "/guarded")
    assert visitor.key == key is not None
    assert exchanges(emulator) == 1
    assert_refused(Visitor(visitor.app), emulator, callback)


def test_another_connected_browser_cannot_reload_the_callback(
    app: Flask, visitor: Visitor, emulator: Emulator
) -> None:
    callback = emulator.approve(visitor.start())
    visitor.get(callback)
    other = Visitor(app)
    other.connect(emulator)
    assert other.get(callback).status_code == 400
    assert Visitor(app).get(callback).status_code == 400


def test_a_finished_login_is_over_after_disconnecting(visitor: Visitor, emulator: Emulator) -> None:
    callback = emulator.approve(visitor.start("/guarded"))
    visitor.get(callback)
    visitor.post("/openrouter/disconnect")
    assert visitor.get(callback).status_code == 400
    assert exchanges(emulator) == 1


def test_a_login_that_failed_is_not_finished(visitor: Visitor, emulator: Emulator) -> None:
    visitor.connect(emulator)
    callback = visitor.callback_url(visitor.start(), code="no-such-code")
    assert visitor.get(callback).status_code == 400
    assert visitor.get(callback).status_code == 400
    assert exchanges(emulator) == 2


def test_a_browser_remembers_the_login_it_finished_last(
    visitor: Visitor, emulator: Emulator
) -> None:
    callbacks = [emulator.approve(visitor.start(f"/?{n}")) for n in range(2)]
    for callback in callbacks:
        visitor.get(callback)
    assert [visitor.get(callback).status_code for callback in callbacks] == [400, 303]


def test_the_cookie_lives_as_long_as_a_login_may_take(visitor: Visitor, emulator: Emulator) -> None:
    landed = visitor.get(emulator.approve(visitor.start("/chat?a=b;c,d")))
    (cookie,) = [line for line in landed.headers.getlist("Set-Cookie") if "openrouter-done" in line]
    assert "Max-Age=600; HttpOnly; Path=/; SameSite=Lax" in cookie


def test_a_connected_browser_has_no_session_cookie_of_the_extension(
    visitor: Visitor, emulator: Emulator
) -> None:
    """Flask would read it with every request."""
    visitor.connect(emulator)
    assert visitor.client.get_cookie("session") is None


def test_a_long_address_is_not_remembered(visitor: Visitor, emulator: Emulator) -> None:
    callback = emulator.approve(visitor.start("/?" + "x" * 900))
    assert len(visitor.get(callback).location) > 900
    assert visitor.get(callback).location == "/"


def test_foreign_contents_of_the_cookie_are_ignored(app: Flask, emulator: Emulator) -> None:
    for planted in ("x", "/", "A" * 16, "A" * 3_000, "\\", "é" * 16, "%00"):
        visitor = Visitor(app)
        callback = emulator.approve(visitor.start("/guarded"))
        visitor.client.set_cookie("openrouter-done", planted)
        assert visitor.get(callback).location == "/guarded", planted
        assert visitor.get(callback).location == "/guarded", planted


def test_the_remembered_address_is_checked_again(visitor: Visitor, emulator: Emulator) -> None:
    """A sibling site may have planted it."""
    callback = emulator.approve(visitor.start("/guarded"))
    visitor.get(callback)
    for planted in ("//evil.example", "https://evil.example", "/\\evil.example"):
        cookie = visitor.client.get_cookie("openrouter-done")
        assert cookie is not None
        visitor.client.set_cookie("openrouter-done", cookie.value[:16] + planted)
        assert visitor.get(callback).location == "/", planted
