"""A key, and a login under way, stay with the account of the app that they belong to.

(OWASP ASVS 5.0, 7.4.1, 10.1.2 and 14.3.1; CWE-384; CVE-2022-25896; CVE-2023-29019.)
"""

from __future__ import annotations

from typing import Any

import pytest
from attack import assert_refused, browser_with, exchanges, load_jar, save_jar
from cases import case
from flask import Flask, redirect
from flask_login import LoginManager, UserMixin, login_user, logout_user
from visitor import Visitor
from werkzeug.wrappers import Response

from flask_openrouter import current_openrouter
from flask_openrouter.emulator import Emulator


class User(UserMixin):  # type: ignore[misc]
    def __init__(self, user_id: str) -> None:
        self.id = user_id


def with_accounts(app: Flask) -> Flask:
    """Let visitors sign in to the app with Flask-Login, by visiting an address."""
    manager = LoginManager(app)
    manager.user_loader(User)

    @app.get("/sign-in/<user_id>")
    def sign_in(user_id: str) -> Response:
        login_user(User(user_id))
        return redirect("/")

    @app.get("/sign-out")
    def sign_out() -> Response:
        logout_user()
        return redirect("/")

    @app.get("/owner")
    def owner() -> str:
        return str(current_openrouter.owner_id)

    return app


@pytest.fixture
def accounts(stored_apps: Any) -> Flask:
    return with_accounts(stored_apps())


def sign_in(visitor: Visitor, user_id: str | None) -> None:
    visitor.get("/sign-out" if user_id is None else f"/sign-in/{user_id}")


@pytest.mark.requirement("R21")
def test_the_key_does_not_survive_a_change_of_account(
    accounts: Flask, stored_apps: Any, emulator: Emulator
) -> None:
    browser, elsewhere = Visitor(accounts), Visitor(accounts)
    sign_in(elsewhere, "B")
    elsewhere.connect(emulator)
    keys_of_b = elsewhere.key

    sign_in(browser, "A")
    browser.connect(emulator)
    keys_of_a = browser.key
    assert keys_of_a not in (None, keys_of_b)

    sign_in(browser, None)
    assert browser.key is None
    sign_in(browser, "B")
    assert browser.key == (keys_of_b if stored_apps.is_server_side else None)
    assert elsewhere.key == keys_of_b
    sign_in(browser, "A")
    assert browser.key == keys_of_a


@pytest.mark.requirement("R21")
def test_disconnecting_leaves_the_keys_of_others_alone(accounts: Flask, emulator: Emulator) -> None:
    browser = Visitor(accounts)
    sign_in(browser, "A")
    browser.connect(emulator)
    key = browser.key
    for other in (None, "B"):
        sign_in(browser, other)
        assert browser.post("/openrouter/disconnect").status_code == 303
        sign_in(browser, "A")
        assert browser.key == key


@pytest.mark.requirement("R21", "R53")
def test_a_browsers_key_and_its_users_key_are_apart(
    accounts: Flask, stored_apps: Any, emulator: Emulator
) -> None:
    """The user has no access to the browser's key, and does not delete it by disconnecting."""
    browser = Visitor(accounts)
    browser.connect(emulator)
    key = browser.key
    sign_in(browser, "A")
    assert browser.key is None
    browser.post("/openrouter/disconnect")
    if stored_apps.is_server_side:
        # The cookie storage has one cookie only, so it cannot hold both.
        browser.connect(emulator)
        assert browser.key not in (None, key)
        browser.post("/openrouter/disconnect")
    assert browser.key is None
    sign_in(browser, None)
    assert browser.key == key is not None


@pytest.mark.requirement("R21")
def test_a_visitor_who_disconnects_another_owner_stays_connected(
    accounts: Flask, stored_apps: Any, emulator: Emulator
) -> None:
    """For example on an administrator's page that forgets the key of a user."""
    if not stored_apps.is_server_side:
        return
    auth = accounts.extensions["openrouter"]

    @accounts.get("/forget/<user_id>")
    def forget(user_id: str) -> str:
        from flask_openrouter.connection import Connection

        Connection(accounts, user_id).disconnect()
        return "forgotten"

    user = Visitor(accounts)
    sign_in(user, "A")
    user.connect(emulator)
    browser = Visitor(accounts)
    browser.connect(emulator)
    key = browser.key
    assert browser.get("/forget/A").text == "forgotten"
    assert auth.vault.load("A") is None
    assert user.key is None
    assert browser.key == key is not None


@pytest.mark.requirement("R22", "F42")
def test_a_login_never_crosses_a_change_of_account(make_app: Any, emulator: Emulator) -> None:
    changes = [("A", "B"), (None, "A"), ("A", None), ("A", "a"), ("1", "01")]
    for number, (before, after) in enumerate(changes):
        visitor = Visitor(with_accounts(make_app()))
        sign_in(visitor, before)
        callback = emulator.approve(visitor.start("/own"))
        sign_in(visitor, after)
        with case(before, after):
            if after is None:
                # Their session may be SameSite=Strict: once, the visit is repeated.
                page = visitor.get(callback)
                assert (page.status_code, page.headers["Cache-Control"]) == (200, "no-store")
            answer = assert_refused(visitor, emulator, callback)
            assert ("signed out" if after is None else "somebody else") in answer.text
            assert exchanges(emulator) == number
            sign_in(visitor, before)
            assert visitor.get(callback).location == "/own"


@pytest.mark.requirement("R22")
def test_users_of_the_app_are_never_browsers(make_app: Any, emulator: Emulator) -> None:
    """No user id gives a user the key of a browser, or a login of a visitor without an account."""
    app = make_app()
    ids: list[Any] = [None]
    app.extensions["openrouter"].app_functions.owner_loader = lambda: ids[-1]
    visitor = Visitor(app)
    callback = emulator.approve(visitor.start())
    for user_id in ("nobody", "user nobody", "browser", "user", "0"):
        ids.append(user_id)
        assert_refused(visitor, emulator, callback)
    for user_id in ("browser:x", "browser:", "", "None"):
        ids.append(user_id)
        assert visitor.get(callback).status_code == 503
    assert exchanges(emulator) == 0


@pytest.mark.requirement("R23")
def test_an_attacker_who_planted_the_cookies_gains_nothing(
    stored_apps: Any, emulator: Emulator
) -> None:
    app = with_accounts(stored_apps())
    attacker, victim = Visitor(app), Visitor(app)
    attacker.get("/guarded")
    attacker.start()
    planted = save_jar(attacker)
    load_jar(victim, planted)

    victim.connect(emulator)

    assert victim.key is not None
    assert browser_with(app, planted).key is None
    assert attacker.key is None


@pytest.mark.requirement("R23")
def test_an_attacker_who_was_connected_when_planting_the_cookies_gains_nothing(
    stored_apps: Any, emulator: Emulator
) -> None:
    """The id of a browser is renewed by each connect, so the planted one leads nowhere."""
    app = with_accounts(stored_apps())
    attacker, victim = Visitor(app), Visitor(app)
    attacker.connect(emulator)
    attackers_key, planted = attacker.key, save_jar(attacker)
    load_jar(victim, planted)
    old_id = victim.get("/owner").text

    victim.connect(emulator)

    assert victim.get("/owner").text != old_id
    assert victim.key not in (None, attackers_key)
    assert browser_with(app, planted).key in (None, attackers_key)
    assert attacker.key in (None, attackers_key)


@pytest.mark.requirement("R24")
def test_two_browsers_share_no_key(stored_apps: Any, emulator: Emulator) -> None:
    """In an app without users, each browser is an owner."""
    app = stored_apps()
    one, two, three = Visitor(app), Visitor(app), Visitor(app)
    one.connect(emulator)
    assert two.key is None
    two.connect(emulator)
    assert three.key is None
    assert None is not one.key != two.key is not None
    one.post("/openrouter/disconnect")
    assert one.key is None
    assert two.key is not None


@pytest.mark.requirement("R24")
def test_two_users_share_no_key(accounts: Flask, emulator: Emulator) -> None:
    one, two = Visitor(accounts), Visitor(accounts)
    sign_in(one, "A")
    sign_in(two, "B")
    one.connect(emulator)
    assert two.key is None


@pytest.mark.requirement("R24")
def test_a_browser_id_is_long_and_its_cookie_cannot_be_forged(
    stored_apps: Any, emulator: Emulator
) -> None:
    """An attacker who reads the ids in the database cannot sign the cookie that proves one."""
    app = stored_apps()
    if not stored_apps.is_server_side:
        return
    victim = Visitor(app)
    victim.connect(emulator)
    (owner_id,) = app.extensions["openrouter"].vault.storage.owner_ids()
    assert owner_id.startswith("browser:")
    assert len(owner_id) >= len("browser:") + 22
    browser_id = owner_id.removeprefix("browser:")
    signature = save_jar(victim)["openrouter"].rpartition(".")[2]
    for cookie in (browser_id, f"{browser_id}.", f"{browser_id}.x", f"x.{signature}", owner_id):
        thief = browser_with(app, {"openrouter": cookie})
        assert thief.key is None, cookie
