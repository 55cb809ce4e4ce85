"""``auth.claim()``: a visitor connects, signs up, and the key becomes the user's."""

from __future__ import annotations

import asyncio
import logging
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier
from typing import Any

import pytest
from attack import save_jar
from flask import Flask, session
from flask_login import LoginManager, UserMixin, login_user, logout_user
from stored_apps import StoredApps
from visitor import Visitor

from flask_openrouter import OpenRouterAuth, OpenRouterError, current_openrouter
from flask_openrouter.emulator import Emulator
from flask_openrouter.signals import key_connected, key_disconnected
from flask_openrouter.storage.memory import MemoryStorage

auth = OpenRouterAuth()


class User(UserMixin):  # type: ignore[misc]
    def __init__(self, user_id: str) -> None:
        self.id = user_id


def with_sign_up(app: Flask) -> Flask:
    """Add sign-up (with a claim), sign-in (without one), and sign-out, by Flask-Login."""
    LoginManager(app).user_loader(User)

    def sign_up(user_id: str, replace: bool = False) -> str:
        login_user(User(user_id))
        before = bool(current_openrouter)
        claimed = auth.claim(replace) if replace else auth.claim()
        return f"{before} {claimed} {bool(current_openrouter)}"

    async def sign_up_later(user_id: str) -> str:
        await asyncio.sleep(0)
        return sign_up(user_id)

    def sign_in(user_id: str) -> str:
        login_user(User(user_id))
        return user_id

    def sign_out() -> str:
        logout_user()
        return "bye"

    def claim_only() -> str:
        try:
            return str(auth.claim())
        except OpenRouterError as error:
            return f"{type(error).__name__}: {error}"

    app.post("/sign-up/<user_id>")(sign_up)
    app.post("/replace/<user_id>", endpoint="replace", defaults={"replace": True})(sign_up)
    app.post("/later/<user_id>")(sign_up_later)
    app.post("/sign-in/<user_id>")(sign_in)
    app.post("/sign-out")(sign_out)
    app.post("/claim")(claim_only)
    return app


def rows(app: Flask) -> list[str]:
    with app.app_context():
        return [owner.owner_id for owner in auth.list_owners()]


def test_a_key_goes_with_the_visitor_who_signs_up(
    all_stored_apps: StoredApps, emulator: Emulator, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    app = with_sign_up(all_stored_apps())
    visitor = Visitor(app)
    visitor.connect(emulator)
    key, heard = visitor.key, []
    assert key is not None
    with (
        key_connected.connected_to(lambda sender, **news: heard.append((sender, news)), app),
        key_disconnected.connected_to(lambda sender, **news: heard.append((sender, news)), app),
    ):
        assert visitor.post("/sign-up/ada").text == "False True True"
        assert visitor.key == key
        assert visitor.post("/sign-up/ada").text == "True False True"
    news = {"openrouter_user_id": "user_emulated", "previous_openrouter_user_id": None}
    assert heard == [(app, {"owner_id": "ada", **news})]
    assert " A browser's key was handed to its user. [owner " in caplog.text
    assert not all_stored_apps.is_server_side or "openrouter" not in save_jar(visitor)
    # The browser has nothing left: not for itself, and not for the next user.
    visitor.post("/sign-out")
    assert visitor.key is None
    assert visitor.post("/sign-up/eve").text == "False False False"
    visitor.post("/sign-out")
    visitor.post("/sign-in/ada")
    assert visitor.key == key
    if all_stored_apps.is_server_side:
        assert rows(app) == ["ada"]
        elsewhere = Visitor(app)
        elsewhere.post("/sign-in/ada")
        assert elsewhere.key == key


def test_a_key_of_the_user_stays_unless_it_is_to_be_replaced(
    all_stored_apps: StoredApps, emulator: Emulator
) -> None:
    app = with_sign_up(all_stored_apps())
    first, second = Visitor(app), Visitor(app)
    first.post("/sign-in/ada")
    first.connect(emulator)
    of_user = first.key
    second.connect(emulator)
    of_browser = second.key
    if all_stored_apps.kind == "cookie":
        # The user's key is in another browser, so there is none here.
        assert second.post("/sign-up/ada").text == "False True True"
        assert (first.key, second.key) == (of_user, of_browser)
        return
    assert second.post("/sign-up/ada").text == "True False True"
    assert (first.key, second.key) == (of_user, of_user)
    second.post("/sign-out")
    assert second.key == of_browser
    heard: list[Any] = []
    with key_connected.connected_to(lambda _, **news: heard.append(news), app):
        assert second.post("/replace/ada").text == "True True True"
    assert [news["previous_openrouter_user_id"] for news in heard] == ["user_emulated"]
    assert (first.key, second.key) == (of_browser, of_browser)
    assert rows(app) == ["ada"]


@pytest.mark.requirement("R21")
def test_a_key_of_another_user_is_never_handed_over(
    all_stored_apps: StoredApps, emulator: Emulator
) -> None:
    visitor = Visitor(with_sign_up(all_stored_apps()))
    visitor.post("/sign-in/ada")
    visitor.connect(emulator)
    key = visitor.key
    visitor.post("/sign-out")
    for path in ("/sign-up/eve", "/replace/eve"):
        assert visitor.post(path).text == "False False False"
    visitor.post("/sign-out")
    visitor.post("/sign-in/ada")
    assert visitor.key == key


def test_a_forged_or_copied_cookie_hands_over_no_key_of_a_user(
    stored_apps: StoredApps, emulator: Emulator
) -> None:
    app = with_sign_up(stored_apps())
    visitor, eve = Visitor(app), Visitor(app)
    visitor.connect(emulator)
    (cookie,) = [c for c in visitor.client._cookies.values() if c.key == "openrouter"]  # type: ignore[union-attr]
    visitor.post("/sign-up/ada")
    eve.client.set_cookie("openrouter", cookie.value[:-2] + "AB"["A" in cookie.value[-2:]] * 2)
    assert eve.post("/sign-up/eve").text == "False False False"
    if stored_apps.is_server_side:
        eve.client.set_cookie("openrouter", cookie.value)
        assert eve.post("/sign-up/eve").text == "False False False"


def test_without_a_user_it_raises_and_says_what_to_do(make_app: Any, emulator: Emulator) -> None:
    app = with_sign_up(make_app())
    visitor = Visitor(app)
    visitor.connect(emulator)
    key = visitor.key
    assert visitor.post("/claim").text == (
        "ConfigurationError: claim() needs a signed-in user with an id. Call it after the app has"
        " saved the new user and signed them in."
    )
    # The id of a user whom the database does not have yet. The next one would share it.
    assert visitor.post("/sign-up/None").status_code == 503
    visitor.post("/sign-out")
    assert visitor.key == key
    with app.app_context(), pytest.raises(RuntimeError):
        auth.claim()


def test_a_key_that_was_set_aside_stays_where_it_is_and_does_not_count(
    stored_apps: StoredApps, emulator: Emulator
) -> None:
    app = with_sign_up(stored_apps())
    app.add_url_rule("/spend", view_func=lambda: str(current_openrouter.key_info().limit))
    visitor = Visitor(app)
    visitor.connect(emulator)
    key = visitor.key
    with emulator.faults(times=None, status=401, path="/api/v1/key"):
        visitor.get("/spend")
    assert visitor.post("/sign-up/ada").text == "False False False"
    visitor.post("/sign-out")
    # OpenRouter was wrong: the browser has it back.
    visitor.get("/openrouter/login")
    assert visitor.key == key
    if not stored_apps.is_server_side:
        return
    # A user's key that was set aside does not keep the browser's key away.
    other = Visitor(app)
    other.post("/sign-in/ada")
    other.connect(emulator)
    with emulator.faults(times=None, status=401, path="/api/v1/key"):
        other.get("/spend")
    assert visitor.post("/sign-up/ada").text == "False True True"
    assert visitor.key == key


def test_a_dead_key_met_in_a_generator_is_not_handed_over(
    make_app: Any, emulator: Emulator
) -> None:
    app = with_sign_up(make_app())
    visitor = Visitor(app)
    visitor.connect(emulator)
    with visitor.client:
        visitor.get("/guarded")
        api_key = current_openrouter.api_key
    app.extensions["openrouter"].rejected_keys.postpone(api_key)
    assert visitor.post("/sign-up/ada").text == "False False False"


class ThreeMethods:
    """A storage of the app's own, which fails when told so."""

    def __init__(self) -> None:
        self.rows: dict[str, str] = {}
        self.failing: set[str] = set()

    def _check(self, name: str) -> None:
        if name in self.failing:
            raise OSError(f"{name}: sk-or-v1-in-the-message")

    def get(self, owner_id: str) -> str | None:
        self._check("get")
        return self.rows.get(owner_id)

    def set(self, owner_id: str, ciphertext: str) -> None:
        self._check("set")
        if "lose" not in self.failing:
            self.rows[owner_id] = ciphertext

    def delete(self, owner_id: str) -> None:
        self._check("delete")
        self.rows.pop(owner_id, None)


@pytest.mark.parametrize("encrypt", [True, False])
def test_a_storage_that_fails_loses_no_key_and_another_try_finishes(
    make_app: Any, emulator: Emulator, encrypt: bool
) -> None:
    storage = ThreeMethods()
    app = with_sign_up(make_app({"storage": storage, "encrypt": encrypt}))
    visitor = Visitor(app)
    visitor.connect(emulator)
    key = visitor.key
    (browser,) = storage.rows
    visitor.post("/sign-in/ada")
    for failure, left in (
        ("get", {browser}),
        ("set", {browser}),
        ("lose", {browser}),
        ("delete", {browser, "ada"}),
    ):
        storage.failing = {failure}
        answer = visitor.post("/claim").text
        assert answer.startswith("KeyStorageError: "), failure
        assert "sk-or" not in answer
        assert set(storage.rows) == left, failure
    storage.failing.clear()
    heard: list[str] = []
    with key_connected.connected_to(lambda _, owner_id, **__: heard.append(owner_id), app):
        answers = [visitor.post("/claim") for _ in range(2)]
    assert [answer.text for answer in answers] == ["True", "False"]
    assert [answer.headers["Cache-Control"] for answer in answers] == ["private"] * 2
    assert heard == ["ada"]
    assert set(storage.rows) == {"ada"}
    assert visitor.key == key


def test_a_replaced_key_that_does_not_stay_written_keeps_the_browsers(
    make_app: Any, emulator: Emulator
) -> None:
    storage = ThreeMethods()
    app = with_sign_up(make_app({"storage": storage}))
    owner, visitor = Visitor(app), Visitor(app)
    owner.post("/sign-in/ada")
    owner.connect(emulator)
    visitor.connect(emulator)
    before = set(storage.rows)
    storage.failing = {"lose"}
    assert visitor.post("/replace/ada").status_code == 503
    assert set(storage.rows) == before


def test_a_key_that_the_user_connects_at_the_same_moment_stays(
    make_app: Any, emulator: Emulator
) -> None:
    class Racing(MemoryStorage):
        reads = 0

        def get(self, owner_id: str) -> str | None:
            stored = super().get(owner_id)
            if owner_id == "ada":
                self.reads -= 1
                if self.reads == 0:
                    # In a thread: Flask-Login's user belongs to the app context.
                    with ThreadPoolExecutor(1) as thread:
                        thread.submit(owner.connect, emulator).result()
            return stored

    storage = Racing()
    app = with_sign_up(make_app({"storage": storage}))
    owner, visitor = Visitor(app), Visitor(app)
    visitor.connect(emulator)
    owner.post("/sign-in/ada")
    for path in ("/sign-up/ada", "/replace/ada"):
        storage.reads = 2  # The view's own, and the first one of the claim.
        assert visitor.post(path).text.split()[1] == "False"
        newest = owner.key
        assert newest is not None
        assert visitor.key == newest
        visitor.post("/sign-out")
        assert visitor.key not in (None, newest)


def test_two_claims_at_once_are_one(all_stored_apps: StoredApps, emulator: Emulator) -> None:
    app = with_sign_up(all_stored_apps())
    visitor = Visitor(app)
    visitor.connect(emulator)
    key = visitor.key
    visitor.post("/sign-in/ada")
    both = [Visitor(app), Visitor(app)]
    for each in both:
        each.client._cookies.update(visitor.client._cookies)  # type: ignore[union-attr,arg-type]
    start = Barrier(2)

    def claim(each: Visitor) -> str:
        start.wait(60)
        return each.post("/claim").text

    with ThreadPoolExecutor(2) as pool:
        answers = set(pool.map(claim, both))
    assert answers <= {"True", "False"}
    assert "True" in answers
    assert [each.key for each in both] == [key, key]
    if all_stored_apps.is_server_side:
        assert rows(app) == ["ada"]


def test_a_hand_made_login_and_an_async_view_work_as_well(
    stored_apps: StoredApps, emulator: Emulator
) -> None:
    visitor = Visitor(with_sign_up(stored_apps()))
    visitor.connect(emulator)
    key = visitor.key
    assert visitor.post("/later/ada").text == "False True True"
    assert visitor.key == key

    app = stored_apps()
    app.extensions["openrouter"].app_functions.owner_loader = lambda: session.get("user")

    @app.post("/join/<int:number>")
    def join(number: int) -> str:
        session["user"] = number
        return str(auth.claim())

    visitor = Visitor(app)
    visitor.connect(emulator)
    key = visitor.key
    assert visitor.post("/join/7").text == "True"
    assert visitor.key == key
    with app.app_context():
        if stored_apps.is_server_side:
            assert auth.for_owner(7)


def test_a_key_under_an_earlier_id_of_the_user_counts(make_app: Any, emulator: Emulator) -> None:
    class Tokened(User):
        def get_id(self) -> str:
            return "f" * 32

    app = with_sign_up(make_app({"storage": MemoryStorage()}))
    app.login_manager.user_loader(lambda _: Tokened("1"))  # type: ignore[attr-defined]

    @app.post("/enter")
    def enter() -> str:
        login_user(Tokened("1"))
        return str(auth.claim())

    vault = app.extensions["openrouter"].vault
    visitor = Visitor(app)
    visitor.connect(emulator)
    (browser,) = rows(app)
    record = vault.load(browser)
    vault.save("f" * 32, type(record)("sk-or-v1-earlier", None, record.connected_at))
    assert visitor.post("/enter").text == "False"
    assert sorted(rows(app)) == ["1", browser]
