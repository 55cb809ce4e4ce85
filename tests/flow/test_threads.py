"""Many browsers, one app: each gets its own key, and none waits for another."""

from __future__ import annotations

import random
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import pytest
from flask import Flask
from live_app import Browser, live
from visitor import Visitor

from flask_openrouter import current_openrouter
from flask_openrouter.emulator import Emulator
from flask_openrouter.storage.memory import MemoryStorage

BROWSERS = 20
THREADS = 16

MakeApp = Callable[..., Flask]


def _connect(url: str, emulator: Emulator) -> tuple[Browser, str]:
    """Go through a login; return the browser and the fingerprint of its key."""
    browser = Browser(url)
    assert browser.get("/guarded").status == 303
    landed = browser.get(emulator.approve(browser.start("/guarded")))
    assert (landed.status, landed.location) == (303, "/guarded")
    key = browser.key
    assert key is not None
    return browser, key


@pytest.mark.parametrize("settings", [{}, {"OPENROUTER_STORAGE_URI": "memory://"}])
def test_twenty_browsers_on_sixteen_threads_each_get_their_own_key(
    settings: dict[str, str], make_app: MakeApp, emulator: Emulator
) -> None:
    with live(make_app(**settings)) as url, ThreadPoolExecutor(THREADS) as pool:
        connected = list(pool.map(lambda _: _connect(url, emulator), range(BROWSERS)))
        assert len({key for _, key in connected}) == BROWSERS
        assert emulator.count("POST", "/api/v1/auth/keys") == BROWSERS

        seen = list(pool.map(lambda pair: (pair[0].key, pair[1]), connected * 3))
        assert all(key == own for key, own in seen)

        gone = connected[::2]
        list(pool.map(lambda pair: pair[0].post("/openrouter/disconnect"), gone))
        assert [browser.key for browser, _ in gone] == [None] * len(gone)
        assert all(browser.key == own for browser, own in connected[1::2])


def test_in_many_mixed_requests_no_browser_gets_the_data_of_another(
    make_app: MakeApp, emulator: Emulator, every_variant: bool
) -> None:
    """Two connected browsers and one that is not, through the guard and calls to OpenRouter."""
    app = make_app()

    @app.get("/usage")
    def usage() -> str:
        if not current_openrouter:
            return "nobody"
        info = current_openrouter.key_info()
        reply = current_openrouter.session.get("key").json()["data"]
        assert reply["limit"] == info.limit
        return f"{info.limit} {current_openrouter.openrouter_user_id}"

    with live(app) as url, ThreadPoolExecutor(THREADS) as pool:
        users = []
        for user_id, limit in (("user_a", 11.0), ("user_b", 22.0)):
            emulator.configure(openrouter_user_id=user_id)
            browser = Browser(url)
            browser.get(emulator.approve(f"{browser.start()}&limit={limit}"))
            users.append((browser, browser.key, f"{limit} {user_id}"))
        nobody = (Browser(url), None, "nobody")

        def ask(number: int) -> str | None:
            browser, key, expected = random.choice([*users, nobody])
            alone = Browser(url, browser.jar)
            if number % 4 == 0:
                text = alone.get("/usage").text
                return None if text == expected else text
            got = alone.key
            assert alone.jar == browser.jar
            return None if got == key else f"{got} instead of {key}"

        wrong = [text for text in pool.map(ask, range(1000 if every_variant else 200)) if text]

    assert users[0][1] != users[1][1]
    assert wrong == []


class MeetingStorage(MemoryStorage):
    """Answers no request before two have asked."""

    def __init__(self) -> None:
        super().__init__()
        self.meeting: threading.Barrier | None = None

    def get(self, owner_id: str) -> str | None:
        if self.meeting is not None:
            self.meeting.wait(60)
        return super().get(owner_id)


def test_no_visitor_waits_for_the_lookup_of_another(make_app: MakeApp, emulator: Emulator) -> None:
    """functools.cached_property holds one lock for all objects of a class until Python 3.12."""
    storage = MeetingStorage()
    app = make_app({"storage": storage})
    visitors = [Visitor(app), Visitor(app)]
    for visitor in visitors:
        visitor.connect(emulator)
    storage.meeting = threading.Barrier(2)
    with ThreadPoolExecutor(2) as pool:
        keys = set(pool.map(lambda visitor: visitor.key, visitors))
    assert len(keys) == 2
    assert None not in keys
