"""Visitors who reload a callback or go back to it, and those whose login ran in a popup."""

from __future__ import annotations

from typing import Any

import pytest
from flask import Flask
from visitor import Visitor

from flask_openrouter.emulator import Emulator


def exchanges(emulator: Emulator) -> int:
    return emulator.count("POST", "/api/v1/auth/keys")


def test_a_reload_of_a_finished_login_lands_where_it_led(
    visitor: Visitor, emulator: Emulator
) -> None:
    callback = emulator.approve(visitor.start("/guarded"))
    visitor.get(callback)
    key = visitor.key

    again = visitor.get(callback)

    assert (again.status_code, again.location) == (303, "/guarded")
    assert visitor.key == key
    assert exchanges(emulator) == 1


def test_another_browser_cannot_reload_it(app: Flask, visitor: Visitor, emulator: Emulator) -> None:
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


def test_it_remembers_for_as_long_as_a_login_may_take(visitor: Visitor, emulator: Emulator) -> None:
    landed = visitor.get(emulator.approve(visitor.start("/chat?a=b;c,d")))
    (cookie,) = [line for line in landed.headers.getlist("Set-Cookie") if "openrouter-done" in line]
    assert "Max-Age=600; HttpOnly; Path=/; SameSite=Lax" in cookie


def test_a_connected_browser_has_no_session_of_ours(visitor: Visitor, emulator: Emulator) -> None:
    """Flask would read it with every request."""
    visitor.connect(emulator)
    assert visitor.client.get_cookie("session") is None


def test_a_long_address_is_not_remembered(visitor: Visitor, emulator: Emulator) -> None:
    callback = emulator.approve(visitor.start("/?" + "x" * 900))
    assert len(visitor.get(callback).location) > 900
    assert visitor.get(callback).location == "/"


@pytest.mark.parametrize("planted", ["x", "/", "A" * 16, "A" * 3_000, "\\", "é" * 16, "%00"])
def test_foreign_contents_of_the_cookie_are_nothing(
    visitor: Visitor, emulator: Emulator, planted: str
) -> None:
    callback = emulator.approve(visitor.start("/guarded"))
    visitor.client.set_cookie("openrouter-done", planted)
    assert visitor.get(callback).location == "/guarded"
    assert visitor.get(callback).location == "/guarded"


@pytest.mark.parametrize("planted", ["//evil.example", "https://evil.example", "/\\evil.example"])
def test_where_it_led_is_checked_again(visitor: Visitor, emulator: Emulator, planted: str) -> None:
    """A sibling site may have planted it."""
    callback = emulator.approve(visitor.start("/guarded"))
    visitor.get(callback)
    cookie = visitor.client.get_cookie("openrouter-done")
    assert cookie is not None
    visitor.client.set_cookie("openrouter-done", cookie.value[:16] + planted)
    assert visitor.get(callback).location == "/"


def test_a_login_in_a_popup_ends_on_a_page_that_closes(
    visitor: Visitor, emulator: Emulator
) -> None:
    login = visitor.get("/openrouter/login?display=popup&next=/guarded")
    landed = visitor.get(emulator.approve(login.location))
    assert (landed.status_code, landed.location) == (303, "/openrouter/connected?next=/guarded")

    page = visitor.get(landed.location)

    assert "popup.js" in page.text
    assert 'href="/guarded"' in page.text
    assert "script-src 'self'" in page.headers["Content-Security-Policy"]
    with visitor.get("/openrouter/static/popup.js") as script:
        assert script.status_code == 200


def test_the_popup_page_leads_nowhere_else(visitor: Visitor) -> None:
    page = visitor.get("/openrouter/connected?next=https://evil.example/")
    assert "evil" not in page.text
    assert 'href="/"' in page.text


def test_a_login_may_end_on_another_site_of_the_app(make_app: Any, emulator: Emulator) -> None:
    """As the operator has set it, also where the policy of our pages is asked."""
    landing = "https://spa.example/start"
    visitor = Visitor(make_app(OPENROUTER_LOGIN_REDIRECT_URL=landing))
    assert visitor.connect(emulator).location == landing
    popup = visitor.get(emulator.approve(visitor.get("/openrouter/login?display=popup").location))
    assert f'href="{landing}"' in visitor.get(popup.location).text
    policy = visitor.get("/openrouter/code").headers["Content-Security-Policy"]
    assert "form-action 'self' https://spa.example;" in policy
