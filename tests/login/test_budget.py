"""The signal ``budget_low``: little is left of a key's limit."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from datetime import datetime, timezone
from typing import Any

import pytest
from flask import Flask, Response, stream_with_context
from leaks import leaks_in
from page import add_page
from stored_apps import StoredApps
from visitor import Visitor

from flask_openrouter import OpenRouterAuth, current_openrouter
from flask_openrouter.client import KeyInfo
from flask_openrouter.connection import BUDGET_SECONDS
from flask_openrouter.emulator import Emulator
from flask_openrouter.login.budget import BudgetWatch
from flask_openrouter.signals import budget_low

ASK = {"model": "openai/gpt-4o-mini", "messages": [{"role": "user", "content": "Hello?"}]}
KEY = "/api/v1/key"


@pytest.fixture
def heard() -> Iterator[list[tuple[Flask, dict[str, Any]]]]:
    found: list[tuple[Flask, dict[str, Any]]] = []

    def hear(sender: Flask, **news: Any) -> None:
        found.append((sender, news))

    with budget_low.connected_to(hear):
        yield found


def with_views(app: Flask) -> Flask:
    add_page(app)
    app.config["PAGE"] = "{{ openrouter_usage() }}"

    def ask() -> str:
        current_openrouter.session.post("chat/completions", json=ASK).raise_for_status()
        return "answered"

    def ask_openai() -> str:
        with current_openrouter.openai() as client:
            client.chat.completions.create(**ASK)  # type: ignore[call-overload]
        return "answered"

    async def ask_later() -> str:
        return ask()

    def stream() -> Response:
        return Response(stream_with_context(ask() for _ in "1"))

    def stream_detached() -> Response:
        connection = current_openrouter.detach()
        return Response(connection.session.get("models").text for _ in "1")

    app.add_url_rule("/ask", view_func=ask)
    app.add_url_rule("/stream-ask", view_func=stream)
    app.add_url_rule("/detached-ask", view_func=stream_detached)
    app.add_url_rule("/async-ask", view_func=ask_later)
    app.add_url_rule("/openai", view_func=ask_openai)
    app.add_url_rule("/info", view_func=lambda: str(current_openrouter.key_info().usage))
    return app


def api_key(visitor: Visitor) -> str:
    with visitor.client:
        visitor.get("/guarded")
        return current_openrouter.api_key


@pytest.mark.parametrize(
    "path",
    [
        *("/info", "/openrouter/usage", "/page"),
        *("/ask", "/async-ask", "/stream-ask", "/detached-ask", "/openai"),
    ],
)
def test_it_is_sent_once_however_the_app_learns_what_is_left(
    make_app: Any, emulator: Emulator, heard: list[Any], clock: Any, path: str
) -> None:
    app = with_views(make_app(OPENROUTER_BUDGET_LOW="1.50"))
    visitor = Visitor(app)
    visitor.connect(emulator)
    key = api_key(visitor)
    emulator.set_key(key, limit=5, usage=1)
    assert visitor.get(path).status_code == 200
    assert heard == []
    emulator.set_key(key, limit=5, usage=3.75)
    for _ in range(3):
        clock.now += 600
        assert visitor.get(path).text
    ((sender, news),) = heard
    assert sender is app
    assert type(sender) is Flask
    assert news["owner_id"].startswith("browser:")
    assert news["remaining"] == pytest.approx(1.25, abs=0.01)
    assert (news["limit"], news["resets_at"]) == (5, None)
    assert set(news) == {"owner_id", "remaining", "limit", "resets_at"}
    assert leaks_in(repr(heard), {"key": key}) == []
    # Another login is another key.
    visitor.connect(emulator)
    emulator.set_key(api_key(visitor), limit=5, usage=5)
    if "ask" not in path and "openai" not in path:
        visitor.get(path)
        assert len(heard) == 2
        assert heard[1][1]["remaining"] == 0


def test_it_is_sent_over_every_storage(
    all_stored_apps: StoredApps, emulator: Emulator, heard: list[Any]
) -> None:
    app = with_views(all_stored_apps(OPENROUTER_BUDGET_LOW=1))
    app.extensions["openrouter"].app_functions.owner_loader = lambda: "ada"
    visitor = Visitor(app)
    visitor.connect(emulator)
    emulator.set_key(api_key(visitor), limit=5, usage=4.5)
    visitor.get("/ask")
    assert [news["owner_id"] for _, news in heard] == ["ada"]
    if all_stored_apps.is_server_side:
        with app.app_context():
            OpenRouterAuth().for_owner("ada").key_info()
    assert len(heard) == 1


def test_views_that_spend_ask_once_a_minute_and_not_without_the_setting(
    make_app: Any, emulator: Emulator, clock: Any
) -> None:
    for threshold, times in ((None, 0), (1, 2)):
        visitor = Visitor(with_views(make_app(OPENROUTER_BUDGET_LOW=threshold)))
        visitor.connect(emulator)
        before = emulator.count("GET", KEY)
        visitor.get("/ask")
        clock.now += BUDGET_SECONDS - 1
        visitor.get("/ask")
        clock.now += 1
        visitor.get("/ask")
        assert emulator.count("GET", KEY) - before == times


@pytest.mark.parametrize("fault", [{"status": 500}, {"status": 401}])
def test_a_question_that_fails_changes_nothing_for_the_view(
    make_app: Any, emulator: Emulator, heard: list[Any], fault: Any
) -> None:
    visitor = Visitor(with_views(make_app(OPENROUTER_BUDGET_LOW=1)))
    visitor.connect(emulator)
    with emulator.faults(times=None, path=KEY, **fault):
        assert visitor.get("/ask").text == "answered"
    assert heard == []
    # A dead key is set aside all the same.
    assert (visitor.key is None) == (fault["status"] == 401)


def test_a_key_that_the_view_forgets_is_not_asked_about(make_app: Any, emulator: Emulator) -> None:
    app = make_app(OPENROUTER_BUDGET_LOW=1)

    @app.get("/last")
    def last() -> str:
        current_openrouter.session.get("models")
        current_openrouter.disconnect()
        return "done"

    visitor = Visitor(app)
    visitor.connect(emulator)
    assert visitor.get("/last").text == "done"
    assert emulator.count("GET", KEY) == 0


def test_a_receiver_may_be_async(make_app: Any, emulator: Emulator) -> None:
    visitor = Visitor(with_views(make_app(OPENROUTER_BUDGET_LOW=1)))
    visitor.connect(emulator)
    emulator.set_key(api_key(visitor), limit=1, usage=0.5)
    seen: list[float] = []

    async def receive(sender: Flask, remaining: float, **_: object) -> None:
        await asyncio.sleep(0)
        seen.append(remaining)

    with budget_low.connected_to(receive):
        visitor.get("/info")
    assert seen == [0.5]


def test_once_per_login_and_period(heard: list[Any]) -> None:
    start = datetime(2027, 1, 15, 8, tzinfo=timezone.utc).timestamp()
    now = [start]
    watch = BudgetWatch(1.0, clock=lambda: now[0], most=2)
    app = Flask("watched")
    day = 86400

    def check(login: str, left: float | None, reset: str | None = None, days: float = 0) -> int:
        now[0] = start + days * day
        info = KeyInfo(limit=5.0, limit_remaining=left, limit_reset=reset)
        watch.check(app, "ada", login, info)
        return len(heard)

    assert check("a", 1.01) == 0
    assert check("a", None) == 0
    assert check("a", 1.0) == 1
    assert check("a", 4.0) == 1
    assert check("a", 0.5, days=400) == 1
    assert check("b", -1.0, "daily") == 2
    assert heard[-1][1]["remaining"] == 0.0
    assert heard[-1][1]["resets_at"] == datetime(2027, 1, 16, tzinfo=timezone.utc)
    assert check("b", 0.5, "daily", days=0.5) == 2
    assert check("b", 0.5, "daily", days=1) == 3
    # The oldest one is let go of.
    assert check("c", 0.5) == 4
    assert check("b", 0.5, "daily", days=1) == 4
    assert check("a", 0.5) == 5
    no_limit = KeyInfo(usage=3.0)
    watch.check(app, "ada", "d", no_limit)
    BudgetWatch(None, clock=lambda: 0.0).check(app, "ada", "e", KeyInfo(limit=5, limit_remaining=0))
    assert len(heard) == 5
