"""What is kept of an answer, when, and what happens when it cannot be kept."""

from __future__ import annotations

import json
import sqlite3
import threading
from pathlib import Path
from typing import Any

import pytest
from chat_visitor import CHAT, ChatVisitor, end_of, example_at, sse
from flask import Flask
from werkzeug.test import TestResponse

from example_app import answer, chat, database
from example_app.database import opened


def lines_of(response: TestResponse) -> Any:
    """The lines as they come, for an answer that was asked for with ``buffered=False``."""
    return (json.loads(line) for line in response.response if str(line).strip())


def test_an_answer_is_saved_while_it_is_written(
    connected: ChatVisitor, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A worker that dies takes two seconds of an answer along, and no more."""
    monkeypatch.setattr(answer, "SAVE_EVERY", 0.0)
    with connected.emulator.configured(word_delay=0.06):
        response = connected.ask(buffered=False)
        lines = lines_of(response)
        url = next(lines)["begin"]["url"]
        for _ in range(3):
            next(lines)
        (_, half) = connected.exported(url.removeprefix("/c/"))
        assert half["state"] == "writing"
        assert half["text"].startswith("Hello")
        assert "Still being written" in connected.get(url).text
        end = list(lines)[-1]["end"]
        response.close()
    assert end["state"] == "done"
    (_, whole) = connected.exported(url.removeprefix("/c/"))
    assert whole["text"].startswith(half["text"])


@pytest.mark.parametrize("save_every", [0.0, 2.0])
def test_an_answer_that_cannot_be_saved_is_shown_and_says_so(
    connected: ChatVisitor, monkeypatch: pytest.MonkeyPatch, save_every: float
) -> None:
    monkeypatch.setattr(answer, "SAVE_EVERY", save_every)
    response = connected.ask(buffered=False)
    lines = lines_of(response)
    next(lines)
    with opened(connected.app.config["CHAT_DATABASE"]) as db:
        db.execute("ALTER TABLE message RENAME TO elsewhere")
    end = list(lines)[-1]["end"]
    response.close()
    assert end["problem"]["error"] == "not_saved"
    assert end["state"] == "done"


def test_an_answer_without_end_is_cut(
    connected: ChatVisitor, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(answer, "MAX_ANSWER", 20)
    end = end_of(connected.ask("a question of some length"))
    assert end["state"] == "cut"


def test_of_two_tabs_at_the_same_moment_one_asks(
    connected: ChatVisitor, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Both have found the conversation idle; the second to store its question is refused."""
    conversation = connected.converse("hello")
    monkeypatch.setattr(chat, "_is_idle", lambda *_: True)
    first = connected.ask("one", conversation=conversation, buffered=False)
    next(lines_of(first))
    second = connected.ask("two", conversation=conversation)
    assert second.get_json()["error"] == "busy"
    first.close()
    assert len(connected.exported(conversation)) == 3


def test_pages_without_a_database_say_so(connected: ChatVisitor, app: Flask) -> None:
    with opened(app.config["CHAT_DATABASE"]) as db:
        db.execute("DROP TABLE conversation")
    page = connected.get("/")
    assert page.status_code == 503
    assert "Not at the moment" in page.text


def test_a_402_counts_as_no_credit_when_the_key_cannot_be_asked(connected: ChatVisitor) -> None:
    with (
        connected.emulator.faults(status=402, path=CHAT),
        connected.emulator.faults(status=500, path="/api/v1/key", times=None),
    ):
        assert connected.ask().get_json()["error"] == "out_of_credit"


def test_a_spent_limit_in_mid_answer_is_told_apart_too(connected: ChatVisitor) -> None:
    connected.emulator.set_key(connected.api_key, limit=5, usage=5)
    with connected.emulator.faults(**sse({"error": {"code": 402}})):
        assert end_of(connected.ask())["problem"]["error"] == "key_limit"


def test_an_answer_that_is_no_http_is_trouble_of_the_provider(connected: ChatVisitor) -> None:
    headers = {"Content-Length": "-5"}
    with connected.emulator.faults(status=200, body="x", headers=headers, path=CHAT):
        assert connected.ask().get_json()["error"] in ("provider_down", "network")


def test_there_must_be_something_to_ask_again(connected: ChatVisitor) -> None:
    conversation = connected.converse("hello")
    with opened(connected.app.config["CHAT_DATABASE"]) as db:
        db.execute("DELETE FROM message")
    refused = connected.ask(None, conversation=conversation)
    assert refused.status_code == 400
    assert "no question to ask again" in refused.get_json()["message"]


def test_workers_that_start_together_wait_for_each_other(tmp_path: Path) -> None:
    path = tmp_path / "chat.db"
    other = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
    other.execute("BEGIN EXCLUSIVE")
    release = threading.Timer(0.3, other.execute, ("COMMIT",))
    release.start()
    example_at("http://127.0.0.1:9", tmp_path)
    release.join()
    assert other.execute("PRAGMA journal_mode").fetchone()[0] == "wal"
    other.close()


def test_a_file_that_stays_locked_stops_the_start(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(database, "PATIENCE", 0.1)
    other = sqlite3.connect(tmp_path / "chat.db", isolation_level=None)
    other.execute("BEGIN EXCLUSIVE")
    with pytest.raises(sqlite3.OperationalError, match="locked"):
        example_at("http://127.0.0.1:9", tmp_path)
    other.close()


def test_style_sheets_may_be_kept_by_the_browser(visitor: ChatVisitor) -> None:
    with visitor.get("/static/base.css") as answered:
        assert answered.headers.get("Cache-Control") != "no-store"
