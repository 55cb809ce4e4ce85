"""``GET /openrouter/usage``: what is left on a key, for scripts."""

from __future__ import annotations

from typing import Any

import pytest
from failing_storage import FailingStorage
from flask import Flask
from stored_apps import StoredApps
from visitor import Visitor

from flask_openrouter import current_openrouter
from flask_openrouter.client.spending import FRESH_SECONDS, RETRY_SECONDS
from flask_openrouter.emulator import Emulator
from flask_openrouter.errors import OutOfCreditError
from flask_openrouter.signals import key_disconnected

URL = "/openrouter/usage"
KEY = "/api/v1/key"
SCRIPT = {"Sec-Fetch-Mode": "cors"}
#: The time at which the clock of the tests begins.
START = "2027-01-15T08:00:00+00:00"


def api_key(visitor: Visitor) -> str:
    with visitor.client:
        visitor.get("/guarded")
        return current_openrouter.api_key


def usage(visitor: Visitor, status: int = 200) -> Any:
    answer = visitor.client.get(URL, headers=SCRIPT)
    assert answer.status_code == status, answer.text
    assert answer.headers["Cache-Control"] == "no-store"
    assert "Access-Control" not in str(answer.headers)
    return answer.json


def test_a_script_learns_the_limit_what_is_left_and_what_was_spent(
    all_stored_apps: StoredApps, emulator: Emulator
) -> None:
    visitor = Visitor(all_stored_apps())
    visitor.connect(emulator)
    emulator.set_key(api_key(visitor), limit=20, usage=2.5)
    answer = visitor.get(URL)
    assert answer.json == {
        "limit": 20,
        "remaining": 17.5,
        "usage": 2.5,
        "limit_reset": None,
        "resets_at": None,
        "as_of": START,
    }
    assert "sk-or" not in answer.text
    emulator.set_key(api_key(visitor), limit=20, usage=19)
    assert usage(visitor)["remaining"] == 17.5
    assert emulator.count("GET", KEY) == 1
    head = visitor.client.head(URL)
    assert (head.status_code, head.data) == (200, b"")
    assert visitor.post(URL).status_code == 405


@pytest.mark.parametrize(
    ("period", "resets_at"),
    [
        ("daily", "2027-01-16T00:00:00+00:00"),
        ("weekly", "2027-01-18T00:00:00+00:00"),
        ("monthly", "2027-02-01T00:00:00+00:00"),
    ],
)
def test_it_says_when_the_limit_is_reset(
    visitor: Visitor, emulator: Emulator, period: str, resets_at: str
) -> None:
    visitor.connect(emulator)
    data = {"limit": 5, "limit_remaining": -0.5, "limit_reset": period, "usage": 70.25}
    with emulator.faults(path=KEY, status=200, body={"data": data}):
        found = usage(visitor)
    assert (found["limit_reset"], found["resets_at"]) == (period, resets_at)
    assert (found["remaining"], found["usage"]) == (0.0, 70.25)


def test_a_key_without_a_limit_has_nothing_left_to_name(
    visitor: Visitor, emulator: Emulator
) -> None:
    visitor.connect(emulator)
    emulator.set_key(api_key(visitor), limit=None, usage=3.25)
    found = usage(visitor)
    assert (found["limit"], found["remaining"], found["usage"]) == (None, None, 3.25)


def test_figures_are_read_again_after_minutes_and_after_a_reconnect(
    visitor: Visitor, emulator: Emulator, clock: Any
) -> None:
    visitor.connect(emulator)
    key = api_key(visitor)
    emulator.set_key(key, limit=5, usage=1)
    assert usage(visitor)["remaining"] == 4
    emulator.set_key(key, limit=5, usage=2)
    clock.now += FRESH_SECONDS
    assert usage(visitor)["remaining"] == 3
    visitor.connect(emulator)
    emulator.set_key(api_key(visitor), limit=5, usage=0.5)
    assert usage(visitor)["remaining"] == 4.5


@pytest.mark.requirement("W19")
@pytest.mark.parametrize(
    "fault",
    [
        {"status": 402, "body": {"error": {"code": 402, "message": "Insufficient credits"}}},
        {"status": 403, "body": {"error": {"code": 403, "message": "Key limit exceeded."}}},
    ],
)
def test_a_refused_call_makes_them_fresh_and_so_does_key_info(
    app: Flask, visitor: Visitor, emulator: Emulator, fault: Any
) -> None:
    def call() -> str:
        try:
            current_openrouter.session.post("chat/completions", json={})
        except OutOfCreditError as error:
            return str(error.reason)
        return "answered"

    app.add_url_rule("/call", view_func=call)
    app.add_url_rule("/info", view_func=lambda: str(current_openrouter.key_info().usage))
    visitor.connect(emulator)
    key = api_key(visitor)
    emulator.set_key(key, limit=5, usage=1)
    assert usage(visitor)["remaining"] == 4
    emulator.set_key(key, limit=5, usage=5)
    assert usage(visitor)["remaining"] == 4
    with emulator.faults(path="/api/v1/chat/completions", **fault):
        assert visitor.get("/call").text in ("account", "key_limit")
    assert usage(visitor)["remaining"] == 0
    emulator.set_key(key, limit=5, usage=2)
    assert visitor.get("/info").text == "2"
    before = emulator.count("GET", KEY)
    assert usage(visitor)["remaining"] == 3
    assert emulator.count("GET", KEY) == before


def test_without_a_key_it_is_a_401_for_scripts_and_for_tabs(
    visitor: Visitor, emulator: Emulator
) -> None:
    for answer in (
        visitor.get(URL),
        visitor.client.get(URL, headers={**SCRIPT, "Referer": "http://localhost/chat"}),
    ):
        assert answer.status_code == 401
        assert answer.json is not None
        assert answer.json["error"] == "key_required"
    assert answer.json["login_url"] == "/openrouter/login?next=/chat"
    assert emulator.count("GET", KEY) == 0


def test_a_dead_key_is_set_aside_and_asked_for_again(
    app: Flask, visitor: Visitor, emulator: Emulator
) -> None:
    visitor.connect(emulator)
    emulator.revoke(api_key(visitor))
    heard: list[str] = []
    with key_disconnected.connected_to(lambda _, reason, **__: heard.append(reason), app):
        found = usage(visitor, 401)
    assert (found["error"], found["login_url"]) == ("key_rejected", "/openrouter/login")
    assert heard == ["rejected"]
    assert usage(visitor, 401)["error"] == "key_required"


@pytest.mark.parametrize(
    "fault", [{"status": 500}, {"status": 429}, {"status": 402}, {"reset": True}]
)
def test_while_openrouter_fails_it_is_a_502_with_the_last_figures(
    visitor: Visitor, emulator: Emulator, clock: Any, fault: Any
) -> None:
    visitor.connect(emulator)
    emulator.set_key(api_key(visitor), limit=5, usage=1)
    nothing = dict.fromkeys(("limit", "remaining", "usage", "limit_reset", "resets_at", "as_of"))
    with emulator.faults(times=None, path=KEY, **fault):
        found = usage(visitor, 502)
        words = {"error": "openrouter_failed", "message": found["message"]}
        assert found == {**words, **nothing}
    clock.now += RETRY_SECONDS
    known = usage(visitor)
    assert known["remaining"] == 4
    clock.now += FRESH_SECONDS
    with emulator.faults(times=None, path=KEY, **fault):
        assert usage(visitor, 502) == {**words, **known}
        before = emulator.count("GET", KEY)
        assert usage(visitor, 502) == {**words, **known}
        assert emulator.count("GET", KEY) == before
    assert visitor.key is not None


def test_while_the_storage_fails_it_is_a_503(make_app: Any, emulator: Emulator) -> None:
    storage = FailingStorage()
    visitor = Visitor(make_app({"storage": storage}))
    visitor.connect(emulator)
    storage.failing.add("get")
    assert usage(visitor, 503)["error"] == "storage_unavailable"
    for path in (URL, "/openrouter/status"):
        # A program that says nothing of what it accepts, and a tab.
        for answer in (visitor.client.get(path), visitor.get(path)):
            assert (answer.status_code, answer.is_json) == (503, True), path
