"""A key that the storage refused waits in a cookie until a click saves it."""

from __future__ import annotations

import re
import secrets
import threading
from concurrent.futures import ThreadPoolExecutor
from html import unescape
from typing import Any

import pytest
from attack import exchanges
from flask import Flask
from full_storage import FullStorage
from visitor import Visitor

from flask_openrouter import OpenRouterAuth
from flask_openrouter.emulator import Emulator
from flask_openrouter.storage.memory import MemoryStorage


@pytest.fixture
def storage() -> FullStorage:
    storage = FullStorage()
    storage.is_full = True
    return storage


@pytest.fixture
def app(make_app: Any, storage: FullStorage) -> Flask:
    app: Flask = make_app({"storage": storage})
    return app


def _waiting(visitor: Visitor) -> str:
    cookie = visitor.client.get_cookie("openrouter~unsaved")
    assert cookie is not None
    return cookie.value


def _thief(app: Flask, *copies: str) -> list[int]:
    """Try to save each copy, each in a new browser; return the statuses of the responses."""
    answers = []
    for copy in copies:
        thief = Visitor(app)
        thief.client.set_cookie("openrouter~unsaved", copy)
        answers.append(thief.post("/openrouter/save").status_code)
        assert (thief.key is None) is (answers[-1] != 303)
    return answers


@pytest.mark.requirement("A12")
def test_a_waiting_key_replaces_no_key_of_an_app_with_a_namespace(
    visitor: Visitor, make_app: Any, emulator: Emulator
) -> None:
    """Both apps are on one host, so that the browser sends each the cookies of both."""
    neighbour = Visitor(make_app(OPENROUTER_NAMESPACE="unsaved"))
    neighbour.client._cookies = visitor.client._cookies
    neighbour.connect(emulator)
    key = neighbour.key
    assert visitor.connect(emulator).status_code == 503
    assert neighbour.key == key is not None


@pytest.mark.requirement("R93")
def test_a_key_that_cannot_be_stored_waits_behind_a_button(
    visitor: Visitor, emulator: Emulator, storage: FullStorage
) -> None:
    page = visitor.connect(emulator, "/guarded")
    assert page.status_code == 503
    assert "sk-or-v1" not in page.text + str(page.headers)
    assert visitor.key is None
    (action,) = re.findall(r'<form method="post" action="([^"]+)"', page.text)

    assert visitor.post(unescape(action)).status_code == 503
    storage.is_full = False
    landed = visitor.post(unescape(action))

    assert (landed.status_code, landed.location) == (303, "/guarded")
    assert visitor.key is not None
    assert exchanges(emulator) == 1
    assert visitor.post(unescape(action)).status_code == 400


@pytest.mark.requirement("R93")
def test_a_key_waits_ten_minutes_and_for_this_browser_only(
    app: Flask, visitor: Visitor, emulator: Emulator, storage: FullStorage, clock: Any
) -> None:
    visitor.connect(emulator)
    storage.is_full = False
    assert Visitor(app).post("/openrouter/save").status_code == 400
    twin = Visitor(app)
    twin.client.set_cookie("openrouter~unsaved", _waiting(visitor))
    clock.now += 601
    assert twin.post("/openrouter/save").status_code == 400
    clock.now -= 1
    assert visitor.post("/openrouter/save").status_code == 303


@pytest.mark.requirement("R93")
def test_a_waiting_key_never_crosses_a_change_of_account(
    app: Flask, visitor: Visitor, emulator: Emulator, storage: FullStorage
) -> None:
    user = {"id": "ada"}
    app.extensions["openrouter"].app_functions.owner_loader = lambda: user["id"]
    visitor.connect(emulator)
    storage.is_full = False
    user["id"] = "bob"
    assert visitor.post("/openrouter/save").status_code == 400
    user["id"] = "ada"
    copy = _waiting(visitor)
    assert visitor.post("/openrouter/save").status_code == 303
    # Nor is it saved again from a copy. One that the user gives up is not saved at all.
    visitor.post("/openrouter/disconnect")
    assert _thief(app, copy) == [400]
    storage.is_full = True
    visitor.connect(emulator)
    copy = _waiting(visitor)
    storage.is_full = False
    visitor.post("/openrouter/disconnect")
    assert _thief(app, copy) == [400]


class Unsure(FullStorage):
    """Stores what it says it has not stored."""

    def set(self, owner_id: str, ciphertext: str) -> None:
        MemoryStorage.set(self, owner_id, ciphertext)
        super().set(owner_id, ciphertext)


def two_workers(make_app: Any, storage: FullStorage) -> list[Flask]:
    settings: dict[str, Any] = {"SECRET_KEY": secrets.token_hex()}
    return [make_app({"storage": storage}, **settings) for _ in range(2)]


def test_a_key_that_was_stored_all_the_same_is_forgotten_with_the_waiting_one(
    make_app: Any, emulator: Emulator
) -> None:
    """The way back to the callback does not connect again, nor does another worker."""
    storage = Unsure()
    app, worker = two_workers(make_app, storage)
    for other in (app, worker):
        visitor = Visitor(app)
        callback = emulator.approve(visitor.start())
        storage.is_full = True
        assert visitor.get(callback).status_code == 503
        storage.is_full = False
        assert visitor.post("/openrouter/disconnect").status_code == 303
        assert storage.count_owners() == 0
        twin = Visitor(other)
        twin.client._cookies = visitor.client._cookies
        assert twin.get(callback).status_code == 400
        assert twin.key is None


def test_a_stored_key_that_counts_as_unsaved_is_not_connected_by_a_reload(
    make_app: Any, emulator: Emulator
) -> None:
    """Whether it is the visitor's is not known: the browser may have disconnected elsewhere."""
    storage = Unsure()
    app, worker = two_workers(make_app, storage)
    visitor = Visitor(app)
    callback = emulator.approve(visitor.start())
    storage.is_full = True
    assert visitor.get(callback).status_code == 503
    storage.is_full = False
    twin = Visitor(worker)
    twin.client._cookies = visitor.client._cookies
    assert twin.get(callback).status_code == 503
    assert twin.key is None
    assert twin.post("/openrouter/save").status_code == 303
    assert twin.key is not None


def test_a_key_waits_for_each_visitor(app: Flask, emulator: Emulator, storage: FullStorage) -> None:
    visitors = [Visitor(app) for _ in range(2)]
    for visitor in visitors:
        visitor.connect(emulator)
    storage.is_full = False
    assert [each.post("/openrouter/save").status_code for each in visitors] == [303, 303]


def test_of_two_logins_whose_keys_were_not_saved_the_last_one_counts_as_finished(
    visitor: Visitor, emulator: Emulator, storage: FullStorage, clock: Any
) -> None:
    """Its key is the one that waits, whichever login began first."""
    callbacks = [emulator.approve(visitor.start(f"/{number}")) for number in range(3)]
    for number in (0, 2, 1):
        assert visitor.get(callbacks[number]).status_code == 503
        clock.now += 1
    storage.is_full = False
    assert visitor.post("/openrouter/save").status_code == 303
    assert [visitor.get(callback).status_code for callback in callbacks] == [400, 303, 400]


@pytest.mark.requirement("R43")
def test_a_waiting_key_that_was_saved_cannot_be_saved_from_a_copy(
    app: Flask, storage: FullStorage, emulator: Emulator
) -> None:
    """Neither from the last copy nor from an earlier one, within its ten minutes."""
    visitor = Visitor(app)
    assert visitor.connect(emulator).status_code == 503
    copies = [_waiting(visitor)]
    assert visitor.post("/openrouter/save").status_code == 503
    copies.append(_waiting(visitor))
    storage.is_full = False
    assert visitor.post("/openrouter/save").status_code == 303
    assert visitor.key is not None
    assert _thief(app, *copies) == [400, 400]
    assert visitor.post("/openrouter/disconnect").status_code == 303
    assert _thief(app, *copies) == [400, 400]
    assert storage.count_owners() == 0


@pytest.mark.requirement("R43")
def test_a_waiting_key_that_was_given_up_cannot_be_saved_from_a_copy(
    app: Flask, storage: FullStorage, emulator: Emulator
) -> None:
    """By a disconnect before it was saved, and by another login."""
    for give_up in (
        lambda visitor: visitor.post("/openrouter/disconnect"),
        lambda visitor: visitor.connect(emulator),
    ):
        storage.is_full = True
        visitor = Visitor(app)
        visitor.connect(emulator)
        copy = _waiting(visitor)
        storage.is_full = False
        assert give_up(visitor).status_code == 303
        assert _thief(app, copy) == [400]


def test_a_second_click_on_save_is_no_error(
    app: Flask, storage: FullStorage, emulator: Emulator
) -> None:
    """The second request still has the cookie that the first response deleted."""
    visitor = Visitor(app)
    visitor.connect(emulator, "/guarded")
    copy = _waiting(visitor)
    storage.is_full = False
    assert visitor.post("/openrouter/save?next=/guarded").location == "/guarded"
    visitor.client.set_cookie("openrouter~unsaved", copy)
    assert visitor.post("/openrouter/save?next=/guarded").location == "/guarded"


@pytest.mark.requirement("R93")
def test_an_early_click_whose_response_is_lost_costs_nothing(
    app: Flask, storage: FullStorage, emulator: Emulator
) -> None:
    visitor = Visitor(app)
    visitor.connect(emulator)
    before = _waiting(visitor)
    assert visitor.post("/openrouter/save").status_code == 503
    # The response never arrived, so the browser has the earlier cookie.
    visitor.client.set_cookie("openrouter~unsaved", before)
    storage.is_full = False
    assert visitor.post("/openrouter/save?next=/guarded").location == "/guarded"
    assert visitor.key is not None


@pytest.mark.requirement("R93")
def test_two_simultaneous_clicks_both_succeed(
    app: Flask, storage: FullStorage, emulator: Emulator
) -> None:
    """A browser shows the response to the last one."""
    visitor = Visitor(app)
    visitor.connect(emulator)
    storage.is_full = False
    arrived = threading.Barrier(2)
    save = storage.set

    def set_together(owner_id: str, ciphertext: str) -> None:
        arrived.wait(60)
        save(owner_id, ciphertext)

    storage.set = set_together  # type: ignore[method-assign]
    twin = Visitor(app)
    twin.client.set_cookie("openrouter~unsaved", _waiting(visitor))
    with ThreadPoolExecutor() as pool:
        clicks = [pool.submit(one.post, "/openrouter/save") for one in (visitor, twin)]
    assert [click.result().status_code for click in clicks] == [303, 303]


@pytest.mark.requirement("R93")
def test_the_app_is_not_asked_for_the_user_once_the_key_is_stored(emulator: Emulator) -> None:
    """Its database may be down by then."""
    storage = FullStorage()
    storage.is_full = True
    auth = OpenRouterAuth(storage=storage)
    app = Flask("asked")
    app.config.update(TESTING=True, SECRET_KEY="0f1e2d3c4b5a6978" * 2)
    app.config["OPENROUTER_BASE_URL"] = emulator.url
    auth.init_app(app)
    stored: list[str] = []
    save = storage.set

    @auth.owner_loader
    def user() -> str:
        if stored:
            raise RuntimeError("the database is down")
        return "alice"

    visitor = Visitor(app)
    assert visitor.connect(emulator).status_code == 503
    storage.is_full = False

    def set_and_tell(owner_id: str, ciphertext: str) -> None:
        save(owner_id, ciphertext)
        stored.append(owner_id)

    storage.set = set_and_tell  # type: ignore[method-assign]
    assert visitor.get(emulator.approve(visitor.start())).status_code == 303
    assert stored == ["alice"]


def test_a_forged_cookie_goes_at_a_disconnect(
    visitor: Visitor, emulator: Emulator, storage: FullStorage
) -> None:
    storage.is_full = False
    visitor.connect(emulator)
    visitor.client.set_cookie("openrouter~unsaved", "forged")
    assert visitor.post("/openrouter/disconnect").status_code == 303
    assert visitor.client.get_cookie("openrouter~unsaved") is None
