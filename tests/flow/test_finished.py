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


def test_a_browser_remembers_two_finished_logins(visitor: Visitor, emulator: Emulator) -> None:
    callbacks = [emulator.approve(visitor.start(f"/?{n}")) for n in range(3)]
    for callback in callbacks:
        visitor.get(callback)
    assert [visitor.get(callback).status_code for callback in callbacks] == [400, 303, 303]


def test_a_long_address_is_not_remembered(visitor: Visitor, emulator: Emulator) -> None:
    callback = emulator.approve(visitor.start("/?" + "x" * 900))
    assert len(visitor.get(callback).location) > 900
    assert visitor.get(callback).location == "/"


@pytest.mark.parametrize(
    "planted", [None, 7, "x", [], {}, [None], [["x"]], [[1, None]], [["x", 2]]]
)
def test_foreign_contents_of_the_session_are_nothing(
    visitor: Visitor, emulator: Emulator, planted: Any
) -> None:
    callback = emulator.approve(visitor.start("/guarded"))
    with visitor.client.session_transaction() as session:
        session["_openrouter_finished"] = planted
    assert visitor.get(callback).location == "/guarded"
    assert visitor.get(callback).location == "/guarded"


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
