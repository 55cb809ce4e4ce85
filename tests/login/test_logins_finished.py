"""Visitors who reload a callback or go back to it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from attack import assert_refused, browser_with, exchanges, load_jar, logins, save_jar
from failing_storage import FailingStorage
from flask import Flask
from visitor import Visitor

from flask_openrouter.emulator import Emulator
from flask_openrouter.signals import login_failed


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
    for _ in range(3):
        assert visitor.get(callback).status_code == 400
    assert exchanges(emulator) == 2


def test_a_browser_remembers_each_login_that_it_finished(
    visitor: Visitor, emulator: Emulator
) -> None:
    callbacks = [emulator.approve(visitor.start(f"/?{n}")) for n in range(3)]
    for callback in callbacks:
        visitor.get(callback)
    assert [visitor.get(callback).location for callback in callbacks] == ["/?0", "/?1", "/?2"]
    assert exchanges(emulator) == 3


def test_the_cookie_lives_as_long_as_a_login_may_take(
    visitor: Visitor, emulator: Emulator, clock: Any
) -> None:
    callback = emulator.approve(visitor.start("/chat?a=b;c,d"))
    landed = visitor.get(callback)
    (cookie,) = [line for line in landed.headers.getlist("Set-Cookie") if "openrouter." in line]
    assert "Max-Age=600; HttpOnly; Path=/; SameSite=Lax" in cookie
    assert "code_verifier" not in cookie
    clock.now += 600
    assert visitor.get(callback).location == "/chat?a=b;c,d"
    clock.now += 1
    assert visitor.get(callback).status_code == 400


@pytest.mark.requirement("R4")
def test_a_finished_login_has_no_code_verifier_any_more(
    visitor: Visitor, emulator: Emulator
) -> None:
    """So no worker can send its code again."""
    visitor.connect(emulator)
    visitor.get(emulator.deny(visitor.start()))
    assert [login.code_verifier for login in logins(visitor)] == [None, None]


def test_a_connected_browser_has_no_session_cookie_of_the_extension(
    visitor: Visitor, emulator: Emulator
) -> None:
    """Flask would read it with every request."""
    visitor.connect(emulator)
    assert visitor.client.get_cookie("session") is None


@pytest.mark.requirement("A3")
def test_a_callback_whose_response_was_lost_may_come_again(
    stored_apps: Any, emulator: Emulator
) -> None:
    """Where the key is on the server, the browser gets the cookies again. Nothing is sent twice."""
    app = stored_apps()
    visitor = Visitor(app)
    callback = emulator.approve(visitor.start("/guarded"))
    jar = save_jar(visitor)
    visitor.get(callback)
    load_jar(visitor, jar)
    for _ in range(2):
        answer = visitor.get(callback)
        if stored_apps.is_server_side:
            assert (answer.status_code, answer.location) == (303, "/guarded")
            assert visitor.key is not None
        else:
            assert answer.status_code == 409
            assert "may have created" in answer.text
            assert "/settings/keys" in answer.text
            assert "Nothing was changed" not in answer.text
            assert visitor.key is None
    assert exchanges(emulator) == 1


@pytest.mark.requirement("A3")
def test_of_a_users_login_too(stored_apps: Any, emulator: Emulator) -> None:
    app = stored_apps()
    app.extensions["openrouter"].app_functions.owner_loader = lambda: "ada"
    visitor = Visitor(app)
    callback = emulator.approve(visitor.start("/guarded"))
    jar = save_jar(visitor)
    visitor.get(callback)
    load_jar(visitor, jar)
    assert visitor.get(callback).status_code == (303 if stored_apps.is_server_side else 409)
    assert exchanges(emulator) == 1


@pytest.mark.requirement("A3")
def test_with_the_first_key_in_the_browser_the_second_callback_goes_on(
    stored_apps: Any, emulator: Emulator
) -> None:
    """Of two responses, the key's cookie arrived and the login's did not."""
    visitor = Visitor(stored_apps())
    callback = emulator.approve(visitor.start("/guarded"))
    jar = save_jar(visitor)
    visitor.get(callback)
    load_jar(visitor, {**save_jar(visitor), **jar})
    assert visitor.get(callback).location == "/guarded"
    assert exchanges(emulator) == 1


@pytest.mark.requirement("A3", "W8")
@pytest.mark.parametrize("user", [None, "ada"])
def test_a_key_that_arrived_after_all_is_not_lost(
    app: Flask, emulator: Emulator, user: str | None
) -> None:
    """The second callback was sent before the first response came, and was answered after it."""
    app.extensions["openrouter"].app_functions.owner_loader = lambda: user
    visitor = Visitor(app)
    callback = emulator.approve(visitor.start("/guarded"))
    jar = save_jar(visitor)
    visitor.get(callback)
    first = save_jar(visitor)
    load_jar(visitor, jar)
    assert visitor.get(callback).status_code == 409
    load_jar(visitor, {**first, **save_jar(visitor)})
    assert visitor.key is not None
    for _ in range(2):
        assert visitor.get(callback).location == "/guarded"
    assert exchanges(emulator) == 1


@pytest.mark.requirement("A3", "S7")
def test_a_lost_key_is_lost_for_another_worker_too(make_app: Any, emulator: Emulator) -> None:
    secret = "k" * 16 + "0123456789abcdef"
    visitor = Visitor(make_app(SECRET_KEY=secret))
    callback = emulator.approve(visitor.start("/guarded"))
    jar = save_jar(visitor)
    visitor.get(callback)
    load_jar(visitor, jar)
    assert visitor.get(callback).status_code == 409
    later = browser_with(make_app(SECRET_KEY=secret), save_jar(visitor))
    for _ in range(2):
        assert later.get(callback).status_code == 409
    assert exchanges(emulator) == 1


@pytest.mark.requirement("A3")
def test_the_key_of_another_login_is_not_taken_for_the_lost_one(
    app: Flask, emulator: Emulator
) -> None:
    for user in (None, "ada"):
        app.extensions["openrouter"].app_functions.owner_loader = lambda user=user: user
        visitor = Visitor(app)
        callback = emulator.approve(visitor.start("/guarded"))
        jar = save_jar(visitor)
        visitor.get(callback)
        load_jar(visitor, jar)
        visitor.connect(emulator)
        assert visitor.get(callback).status_code == 409
        assert visitor.key is not None


@pytest.mark.requirement("A3", "R23")
def test_a_copied_login_is_worthless_without_its_code(stored_apps: Any, emulator: Emulator) -> None:
    """An attacker plants a login. The victim approves it, and only they have the code."""
    app = stored_apps()
    attacker, victim = Visitor(app), Visitor(app)
    url = attacker.start()
    jar = save_jar(attacker)
    load_jar(victim, jar)
    assert victim.get(emulator.approve(url)).status_code == 303
    assert victim.key is not None
    for code in ("guessed", "another", None):
        load_jar(attacker, jar)
        values = {} if code is None else {"code": code}
        assert attacker.get(attacker.callback_url(url, **values)).status_code == 400
        assert attacker.key is None
    assert exchanges(emulator) == 1
    assert victim.key is not None


@pytest.mark.requirement("A3")
def test_a_lost_response_after_a_disconnect_connects_nobody(
    stored_apps: Any, emulator: Emulator
) -> None:
    visitor = Visitor(stored_apps())
    callback = emulator.approve(visitor.start("/guarded"))
    jar = save_jar(visitor)
    visitor.get(callback)
    visitor.post("/openrouter/disconnect")
    load_jar(visitor, jar)
    assert 400 <= visitor.get(callback).status_code < 500
    assert visitor.key is None
    assert exchanges(emulator) == 1


@pytest.mark.requirement("A3")
def test_the_repeat_of_a_failed_exchange_repeats_its_outcome(
    app: Flask, emulator: Emulator
) -> None:
    """Whether or not its response arrived. It is announced once."""
    failed: list[str] = []

    def note(sender: Flask, reason: str) -> None:
        failed.append(reason)

    outcomes = {500: "provider_failed", 429: "busy", 403: "code_refused", 204: "unexpected_answer"}
    with login_failed.connected_to(note, app):
        for number, (status, problem) in enumerate(outcomes.items(), 1):
            visitor = Visitor(app)
            callback = emulator.approve(visitor.start("/there"))
            jar = save_jar(visitor)
            with emulator.faults(status=status, path="/api/v1/auth/keys", times=None):
                first = visitor.get(callback)
            for is_lost in (False, True):
                if is_lost:
                    load_jar(visitor, jar)
                again = visitor.get(callback)
                assert again.status_code == first.status_code
                assert f"Error {problem}," in again.text
                assert 'href="/openrouter/login?next=/there"' in again.text
            assert exchanges(emulator) == number
    assert failed == [*outcomes.values()]


@pytest.mark.requirement("A3", "S7")
def test_another_worker_finds_the_key_that_the_first_one_stored(
    make_app: Any, emulator: Emulator, tmp_path: Path
) -> None:
    """Without sending the code again. Both workers share the secret key and the storage."""
    shared = {
        "SECRET_KEY": "k" * 16 + "0123456789abcdef",
        "OPENROUTER_STORAGE_URI": f"sqlite:///{tmp_path}/k",
    }
    apps = [make_app(**shared) for _ in range(2)]
    try:
        visitor = Visitor(apps[0])
        callback = emulator.approve(visitor.start("/guarded"))
        jar = save_jar(visitor)
        visitor.get(callback)
        later = browser_with(apps[1], jar)
        assert later.get(callback).location == "/guarded"
        assert later.key == visitor.key is not None
        assert exchanges(emulator) == 1
    finally:
        for app in apps:
            app.extensions["openrouter"].vault.storage.close()


@pytest.mark.requirement("S7")
def test_a_worker_that_cannot_know_says_that_a_key_may_exist(
    make_app: Any, emulator: Emulator
) -> None:
    """The first one was killed, or keys are in the browser. OpenRouter refuses the code."""
    secret = "k" * 16 + "0123456789abcdef"
    visitor = Visitor(make_app(SECRET_KEY=secret))
    callback = emulator.approve(visitor.start("/guarded"))
    jar = save_jar(visitor)
    visitor.get(callback)
    later = browser_with(make_app(SECRET_KEY=secret), jar)
    for _ in range(2):
        page = later.get(callback)
        assert page.status_code == 400
        assert "may have created a key" in page.text
        assert "/settings/keys" in page.text
        assert "Nothing was changed" not in page.text
    assert exchanges(emulator) == 2


@pytest.mark.requirement("A3")
def test_a_key_that_waits_to_be_saved_is_offered_again(make_app: Any, emulator: Emulator) -> None:
    storage = FailingStorage()
    visitor = Visitor(make_app({"storage": storage}))
    callback = emulator.approve(visitor.start("/guarded"))
    jar = save_jar(visitor)
    storage.failing.add("set")
    for _ in range(2):
        page = visitor.get(callback)
        assert page.status_code == 503
        assert "Save again" in page.text
    waiting = save_jar(visitor)
    load_jar(visitor, jar)
    # That response was lost, and the key with it.
    assert visitor.get(callback).status_code == 409
    load_jar(visitor, {name: value for name, value in waiting.items() if "unsaved" not in name})
    assert visitor.get(callback).status_code == 400
    load_jar(visitor, waiting)
    storage.failing.clear()
    assert visitor.post("/openrouter/save?next=/guarded").location == "/guarded"
    assert visitor.get(callback).location == "/guarded"
    assert exchanges(emulator) == 1


def test_the_remembered_address_and_problem_are_checked_again(
    app: Flask, emulator: Emulator
) -> None:
    """Another version may have written them."""
    visitor = Visitor(app)
    callback = emulator.approve(visitor.start("/guarded"))
    visitor.get(callback)
    (login,) = logins(visitor)
    cookies = app.extensions["openrouter"].login_cookies
    for next_url, problem, status in (("//evil.example", None, 303), (None, "of_tomorrow", 400)):
        if problem is not None:
            visitor.post("/openrouter/disconnect")
        with app.test_request_context():
            value = cookies._sign(replace(login, next_url=next_url, problem=problem))
        visitor.client.set_cookie(f"openrouter{login.part}", value)
        answer = visitor.get(callback)
        assert (answer.status_code, answer.location) == (status, "/" if status == 303 else None)
