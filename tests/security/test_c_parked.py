"""A key that waits to be saved is in a cookie, and cookies can be copied."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from flask import Flask
from full_storage import FullStorage
from visitor import Visitor

from flask_openrouter import OpenRouterAuth
from flask_openrouter.emulator import Emulator


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
    cookie = visitor.client.get_cookie("openrouter-unsaved")
    assert cookie is not None
    return cookie.value


def _thief(app: Flask, *copies: str) -> list[int]:
    """Try to save each copy, in a browser of one's own; return what was answered."""
    answers = []
    for copy in copies:
        thief = Visitor(app)
        thief.client.set_cookie("openrouter-unsaved", copy)
        answers.append(thief.post("/openrouter/save").status_code)
        assert (thief.key is None) is (answers[-1] != 303)
    return answers


@pytest.mark.requirement("R43")
def test_a_waiting_key_that_was_saved_cannot_be_saved_from_a_copy(
    app: Flask, storage: FullStorage, emulator: Emulator
) -> None:
    """Not even within its ten minutes: neither from the last copy nor from one of before."""
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
    """The first answer has brought a new cookie; the second request left with the old one too."""
    visitor = Visitor(app)
    visitor.connect(emulator, "/guarded")
    copy = _waiting(visitor)
    storage.is_full = False
    assert visitor.post("/openrouter/save?next=/guarded").location == "/guarded"
    visitor.client.set_cookie("openrouter-unsaved", copy)
    assert visitor.post("/openrouter/save?next=/guarded").location == "/guarded"


@pytest.mark.requirement("R93")
def test_a_click_that_came_too_early_costs_nothing_though_its_answer_is_lost(
    app: Flask, storage: FullStorage, emulator: Emulator
) -> None:
    visitor = Visitor(app)
    visitor.connect(emulator)
    before = _waiting(visitor)
    assert visitor.post("/openrouter/save").status_code == 503
    # The answer never came, so the browser has the cookie of before.
    visitor.client.set_cookie("openrouter-unsaved", before)
    storage.is_full = False
    assert visitor.post("/openrouter/save?next=/guarded").location == "/guarded"
    assert visitor.key is not None


@pytest.mark.requirement("R93")
def test_both_of_two_clicks_at_once_land(
    app: Flask, storage: FullStorage, emulator: Emulator
) -> None:
    """A browser shows the answer to the last one."""
    visitor = Visitor(app)
    visitor.connect(emulator)
    storage.is_full = False
    arrived = threading.Barrier(2)
    save = storage.set

    def set_together(owner_id: str, ciphertext: str) -> None:
        arrived.wait(5)
        save(owner_id, ciphertext)

    storage.set = set_together  # type: ignore[method-assign]
    twin = Visitor(app)
    twin.client.set_cookie("openrouter-unsaved", _waiting(visitor))
    with ThreadPoolExecutor() as pool:
        clicks = [pool.submit(one.post, "/openrouter/save") for one in (visitor, twin)]
    assert [click.result().status_code for click in clicks] == [303, 303]


@pytest.mark.requirement("R93")
def test_the_app_is_not_asked_who_it_is_once_the_key_is_stored(emulator: Emulator) -> None:
    """Its database may be down by then; what waits from before must not call for it."""
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
