"""Free questions on the app's own key, before a visitor connects."""

from __future__ import annotations

from pathlib import Path

import pytest
from chat_visitor import CHAT, ORIGIN, ChatVisitor, example_at
from flask import Flask
from werkzeug.test import TestResponse

from example_app import trial
from flask_openrouter.emulator import Emulator

HEADERS = {"Sec-Fetch-Site": "same-origin", "Sec-Fetch-Mode": "navigate"}


@pytest.fixture
def app(openrouter_emulator: Emulator, tmp_path: Path) -> Flask:
    key = openrouter_emulator.issue_key(openrouter_user_id="user_app")
    return example_at(openrouter_emulator.url, tmp_path, CHAT_FREE_KEY=key)


def ask(visitor: ChatVisitor, text: str = "hello") -> TestResponse:
    return visitor.client.post("/try", base_url=ORIGIN, data={"text": text}, headers=HEADERS)


def test_three_questions_are_free_and_then_the_visitor_connects(visitor: ChatVisitor) -> None:
    assert "Questions left today: 3" in visitor.get("/").text
    for left in (2, 1, 0):
        page = ask(visitor, "<b>hi</b> **you**").text
        assert "<strong>you</strong>" in page
        assert "<b>" not in page
        assert ("Questions left today" in page) == (left > 0)
    page = ask(visitor).text
    assert "You have used the free questions of today" in page
    assert "Connect OpenRouter" in page
    assert visitor.completions == 3
    assert visitor.ask().status_code == 401, "the chat itself needs a key of one's own"
    visitor.connect()
    assert ask(visitor).location == "/"
    assert visitor.completions == 3


def test_deleting_the_cookie_does_not_help_for_long(
    visitor: ChatVisitor, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(trial, "OF_ADDRESS", 2)
    for _ in range(8):
        visitor.client._cookies.clear()
        ask(visitor)
    assert visitor.completions == 6
    monkeypatch.setattr(trial, "OF_ADDRESS", 100)
    monkeypatch.setattr(trial, "OF_ALL", 2)
    visitor.client._cookies.clear()
    ask(visitor)
    assert visitor.completions == 6


@pytest.mark.requirement("A15")
def test_all_addresses_of_an_ipv6_network_share_their_free_questions(
    visitor: ChatVisitor, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(trial, "OF_ADDRESS", 1)

    def answered(*addresses: str) -> int:
        before = visitor.completions
        for address in addresses:
            visitor.client._cookies.clear()
            visitor.client.environ_base["REMOTE_ADDR"] = address
            ask(visitor)
        return visitor.completions - before

    assert answered(*(f"2001:db8:0:1:{n}::{n}" for n in range(1, 6))) == 3
    assert answered("2001:db8:0:2::1") == 1
    # A server that listens on both kinds of addresses writes IPv4 addresses like this.
    assert answered(*(f"::ffff:192.0.2.{n}" for n in range(1, 6))) == 5
    assert answered(*(f"192.0.2.{n}" for n in range(1, 6))) == 5
    assert answered(*["192.0.2.1"] * 5) == 1
    assert answered(*["unknown"] * 5, *["fe80::1%eth0"] * 5) == 6


def test_what_is_no_question_counts_nothing(visitor: ChatVisitor) -> None:
    ask(visitor, "  ")
    foreign = {"Sec-Fetch-Site": "cross-site"}
    refused = visitor.client.post("/try", base_url=ORIGIN, data={"text": "x"}, headers=foreign)
    assert refused.status_code == 403
    assert "Questions left today: 3" in visitor.get("/").text
    assert ask(visitor, "x" * 3_000).status_code == 413
    assert visitor.completions == 0


def test_a_spent_key_of_the_app_asks_to_connect(visitor: ChatVisitor) -> None:
    visitor.emulator.add_fault(path=CHAT, status=402)
    response = ask(visitor)
    assert response.status_code == 200
    assert "Connect OpenRouter" in response.text
    assert "no credit" not in response.text


def test_without_the_setting_nothing_is_free(openrouter_emulator: Emulator, tmp_path: Path) -> None:
    visitor = ChatVisitor(example_at(openrouter_emulator.url, tmp_path), openrouter_emulator)
    assert "Questions left" not in visitor.get("/").text
    assert "used the free questions" not in ask(visitor).text
    assert visitor.completions == 0
    assert "visitor" not in str(visitor.client._cookies)
