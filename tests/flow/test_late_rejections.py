"""A call with an old key gets its 401 late, when the owner's key has changed already."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from typing import Any

import pytest
from cases import case
from stored_apps import StoredApps
from visitor import Visitor
from werkzeug.test import TestResponse

from flask_openrouter import current_openrouter
from flask_openrouter.emulator import Emulator
from flask_openrouter.errors import KeyRejectedError

ASKED: Any = {"model": "openai/gpt-4o-mini", "messages": [{"role": "user", "content": "Hi"}]}


def ask_sdk(connection: Any) -> None:
    with connection.sdk() as client:
        client.chat.send(**ASKED)


LATE_CALLS: dict[str, Callable[[Any], object]] = {
    "session": lambda connection: connection.session.post("chat/completions", json=ASKED),
    "key_info": lambda connection: connection.key_info(),
    "openai": lambda connection: connection.openai().chat.completions.create(**ASKED),
    "sdk": ask_sdk,
    "report": lambda connection: connection.report_rejection(),
}


@pytest.mark.requirement("A9")
def test_a_late_401_changes_nothing_about_another_key(
    all_stored_apps: StoredApps, emulator: Emulator
) -> None:
    """The visitor has connected a new key, or has disconnected, before the 401 arrives."""
    if not all_stored_apps.is_server_side:
        return  # A call outside of the request has no cookie to write.
    app = all_stored_apps()
    app.extensions["openrouter"].app_functions.owner_loader = lambda: "ada"
    visitor = Visitor(app)
    for name, call in LATE_CALLS.items():
        for is_connected in (True, False):
            with case(name, is_connected):
                visitor.connect(emulator)
                with app.test_request_context():
                    late = current_openrouter.detach()
                emulator.revoke(late.api_key)
                if is_connected:
                    visitor.connect(emulator)
                else:
                    visitor.post("/openrouter/disconnect")
                key = visitor.key
                assert (key is not None) is is_connected
                with suppress(KeyRejectedError):
                    call(late)
                assert visitor.key == key
                # Nothing was set aside either: there is no key to ask OpenRouter about.
                asked = emulator.count("GET", "/api/v1/key")
                visitor.get("/openrouter/login")
                assert emulator.count("GET", "/api/v1/key") == asked


def receive(browser: Visitor, late: TestResponse) -> None:
    """Keep the cookies of a response that arrives after all others."""
    lines = late.headers.getlist("Set-Cookie")
    assert lines
    for line in lines:
        name, _, value = line.partition(";")[0].partition("=")
        if "Max-Age=0" in line:
            browser.client.delete_cookie(name)
        else:
            browser.client.set_cookie(name, value, httponly=True, samesite="Lax")


@pytest.mark.requirement("A9")
def test_a_late_response_does_not_undo_a_login_in_another_tab(
    make_app: Any, emulator: Emulator
) -> None:
    """With keys in cookies, the browser keeps the cookie that arrives last."""
    app = make_app()
    app.add_url_rule("/info", "info", lambda: str(current_openrouter.key_info()))
    browser, other_tab = Visitor(app), Visitor(app)
    browser.connect(emulator)
    other_tab.client._cookies = dict(browser.client._cookies)
    sent = "; ".join(f"{each.key}={each.value}" for each in browser.client._cookies.values())
    with app.test_request_context(headers={"Cookie": sent}):
        emulator.revoke(current_openrouter.api_key)
    late = other_tab.get("/info")
    assert late.status_code == 303
    browser.get("/info")
    assert browser.key is None
    browser.connect(emulator)
    key = browser.key
    assert key is not None
    # Now the other tab's response arrives, whose cookies are about the old key.
    receive(browser, late)
    assert browser.key == key
    assert browser.get("/openrouter/status").get_json()["connected"]
    assert browser.post("/openrouter/disconnect").status_code == 303
    assert browser.key is None
    names = {each.key for each in browser.client._cookies.values()}
    assert not names & {"openrouter", "openrouter~replaced"}


@pytest.mark.requirement("A9")
def test_the_late_deletion_of_a_rejected_key_does_not_undo_a_login(
    make_app: Any, emulator: Emulator, clock: Any
) -> None:
    """A day after its rejection, a key is deleted by whatever request comes first."""
    app = make_app()
    app.add_url_rule("/info", "info", lambda: str(current_openrouter.key_info()))
    browser, other_tab = Visitor(app), Visitor(app)
    browser.connect(emulator)
    with emulator.faults(status=401, path="/api/v1/key"):
        browser.get("/info")
    clock.now += 24 * 3600 + 1
    other_tab.client._cookies = dict(browser.client._cookies)
    late = other_tab.get("/openrouter/status")
    assert late.get_json()["connected"] is False
    browser.connect(emulator)
    key = browser.key
    assert key is not None
    receive(browser, late)
    assert browser.key == key
