"""The usage of a key on a page: its text, how often OpenRouter is asked, and failures."""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from typing import Any

import pytest
from flask import Flask
from page import add_page
from visitor import Visitor

from flask_openrouter import current_openrouter
from flask_openrouter.client import KeyInfo
from flask_openrouter.client.spending import FRESH_SECONDS, PATIENCE_SECONDS, RETRY_SECONDS
from flask_openrouter.emulator import Emulator
from flask_openrouter.signals import key_disconnected
from flask_openrouter.views.usage import Usage

Show = Callable[..., str]


USAGE = "{{ openrouter_usage() }}"


@pytest.fixture
def connected(visitor: Visitor, emulator: Emulator) -> Visitor:
    visitor.connect(emulator)
    return visitor


def asked(emulator: Emulator) -> int:
    return emulator.count("GET", "/api/v1/key")


def api_key(visitor: Visitor) -> str:
    with visitor.client:
        visitor.get("/guarded")
        return current_openrouter.api_key


def test_the_usage_shows_what_is_left_or_spent() -> None:
    for info, text in (
        (KeyInfo(limit=20, limit_remaining=17.5, limit_reset="monthly"), "$17.50 left this month"),
        (KeyInfo(limit=20, limit_remaining=17.5, limit_reset="weekly"), "$17.50 left this week"),
        (KeyInfo(limit=20, limit_remaining=17.5, limit_reset="daily"), "$17.50 left today"),
        (KeyInfo(limit=5, limit_remaining=5), "$5.00 left"),
        (KeyInfo(limit=5, limit_remaining=5, limit_reset="hourly"), "$5.00 left"),
        (KeyInfo(limit=5, limit_remaining=-1), "$0.00 left"),
        (KeyInfo(limit=0, limit_remaining=0), "$0.00 left"),
        (KeyInfo(limit=5, limit_remaining=0.004), "less than $0.01 left"),
        (KeyInfo(usage=3.2), "$3.20 spent"),
        (KeyInfo(usage=0), "$0.00 spent"),
        (KeyInfo(usage=1234.5), "$1,234.50 spent"),
        (KeyInfo(limit=5, usage=3.2), "$3.20 spent"),
    ):
        usage = Usage.from_key_info(info)
        assert usage is not None, info
        assert usage.text == text, info
        assert (usage.limit is not None) == ("left" in text and info.limit != 0), info


def test_a_response_without_amounts_is_no_usage() -> None:
    assert Usage.from_key_info(KeyInfo(label="sk-or-v1-…")) is None


def test_a_limited_key_gets_a_meter(show: Show, connected: Visitor, emulator: Emulator) -> None:
    emulator.set_key(api_key(connected), limit=20, usage=2.5)
    html = show(USAGE)
    assert "$17.50 left" in html
    assert re.search(
        r'<label.*<meter min="0" max="20(.0)?" .*value="17.5"></meter></label>', html, re.S
    )


def test_a_key_without_limit_gets_a_text(
    show: Show, connected: Visitor, emulator: Emulator
) -> None:
    emulator.set_key(api_key(connected), limit=None, usage=3.2)
    html = show(USAGE)
    assert "$3.20 spent" in html
    assert "meter" not in html


def test_a_visitor_without_a_key_sees_nothing(show: Show, emulator: Emulator) -> None:
    assert show(USAGE) == ""
    assert asked(emulator) == 0


def test_openrouter_is_asked_once_in_five_minutes(
    show: Show, connected: Visitor, emulator: Emulator, clock: Any
) -> None:
    first = show(USAGE)
    clock.now += FRESH_SECONDS - 1
    assert show(USAGE) == first
    assert asked(emulator) == 1
    clock.now += 1
    show(USAGE)
    assert asked(emulator) == 2
    clock.now -= 3600
    show(USAGE)
    assert asked(emulator) == 3


def test_two_visitors_see_their_own_usage(
    app: Flask, show: Show, connected: Visitor, emulator: Emulator
) -> None:
    emulator.set_key(api_key(connected), limit=20, usage=2.5)
    show(USAGE)
    other = Visitor(app)
    other.connect(emulator)
    emulator.set_key(api_key(other), limit=20, usage=19)
    assert "$1.00 left" in other.get("/page").text
    assert "$17.50 left" in show(USAGE)


@pytest.mark.parametrize(
    "fault", [{"status": 500}, {"status": 429}, {"status": 403}, {"reset": True}]
)
def test_after_a_failure_nothing_is_shown_and_openrouter_is_not_asked_again_at_once(
    show: Show, connected: Visitor, emulator: Emulator, clock: Any, fault: dict[str, Any]
) -> None:
    with emulator.faults(times=None, **fault, path="/api/v1/key"):
        assert show(USAGE) == ""
    tries = asked(emulator)
    assert show(USAGE) == ""
    assert asked(emulator) == tries
    clock.now += RETRY_SECONDS
    assert "$" in show(USAGE)
    assert connected.key is not None


def test_a_page_does_not_wait_for_a_slow_openrouter(make_app: Any, emulator: Emulator) -> None:
    app: Flask = make_app(PAGE=USAGE)
    add_page(app)
    visitor = Visitor(app)
    visitor.connect(emulator)
    with emulator.faults(delay=40 * PATIENCE_SECONDS, path="/api/v1/key"):
        begun = time.monotonic()
        assert visitor.get("/page").text == ""
        # time: forty times the limit, which is how long OpenRouter would take
        assert time.monotonic() - begun < 40 * PATIENCE_SECONDS


def test_a_dead_key_is_forgotten_and_the_visitor_asked_to_connect_again(
    app: Flask, show: Show, connected: Visitor, emulator: Emulator
) -> None:
    reasons = []

    def note(sender: Flask, reason: str, **_: object) -> None:
        reasons.append(reason)

    emulator.revoke(api_key(connected))
    with key_disconnected.connected_to(note, app):
        html = show(USAGE, "/page?a=1")
    assert reasons == ["rejected"]
    (login_url,) = re.findall('<a class="openrouter-usage" href="([^"]+)"', html)
    assert connected.key is None
    assert show(USAGE) == ""
    authorization_url = connected.get(login_url).location
    assert connected.get(emulator.approve(authorization_url)).location == "/page?a=1"
    assert "$" in show(USAGE)


def test_while_the_storage_is_down_nothing_is_shown(make_app: Any, emulator: Emulator) -> None:
    """Error pages of the app show usage, too: one error must not become another."""
    storage = FailingStorage()
    app: Flask = make_app({"storage": storage}, PAGE=USAGE)
    add_page(app)
    visitor = Visitor(app)
    visitor.connect(emulator)
    storage.fails = True
    answer = visitor.get("/page")
    assert (answer.status_code, answer.text) == (200, "")


class FailingStorage:
    """Reads nothing while ``fails``."""

    def __init__(self) -> None:
        self.rows: dict[str, str] = {}
        self.fails = False

    def get(self, owner_id: str) -> str | None:
        if self.fails:
            raise OSError("disk full")
        return self.rows.get(owner_id)

    def set(self, owner_id: str, ciphertext: str) -> None:
        self.rows[owner_id] = ciphertext

    def delete(self, owner_id: str) -> None:
        self.rows.pop(owner_id, None)
