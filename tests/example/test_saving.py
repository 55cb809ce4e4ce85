"""Saving of answers: during writing, at the end, and when the database fails."""

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
    """Return the lines as they arrive. The request must use ``buffered=False``."""
    return (json.loads(line) for line in response.response if str(line).strip())


def test_an_answer_is_saved_while_it_is_written(
    connected: ChatVisitor, monkeypatch: pytest.MonkeyPatch
) -> None:
    """If a worker dies, at most two seconds of an answer are lost."""
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
def test_an_answer_that_cannot_be_saved_is_shown_with_a_problem(
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


def test_an_endless_answer_is_cut(connected: ChatVisitor, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(answer, "MAX_ANSWER", 20)
    end = end_of(connected.ask("a question of some length"))
    assert end["state"] == "cut"


def test_one_of_two_simultaneous_tabs_is_refused(
    connected: ChatVisitor, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Both find the conversation idle. The second one that stores its question is refused."""
    conversation = connected.converse("hello")
    monkeypatch.setattr(chat, "_is_idle", lambda *_: True)
    first = connected.ask("one", conversation=conversation, buffered=False)
    next(lines_of(first))
    second = connected.ask("two", conversation=conversation)
    assert second.get_json()["error"] == "busy"
    first.close()
    assert len(connected.exported(conversation)) == 3


def test_pages_explain_a_database_failure(connected: ChatVisitor, app: Flask) -> None:
    with opened(app.config["CHAT_DATABASE"]) as db:
        db.execute("DROP TABLE conversation")
    page = connected.get("/")
    assert page.status_code == 503
    assert "Not at the moment" in page.text


def test_a_402_means_no_credit_when_key_info_fails(connected: ChatVisitor) -> None:
    with (
        connected.emulator.faults(status=402, path=CHAT),
        connected.emulator.faults(status=500, path="/api/v1/key", times=None),
    ):
        assert connected.ask().get_json()["error"] == "out_of_credit"


def test_a_spent_key_limit_in_mid_answer_is_recognized(connected: ChatVisitor) -> None:
    connected.emulator.set_key(connected.api_key, limit=5, usage=5)
    with connected.emulator.faults(**sse({"error": {"code": 402}})):
        assert end_of(connected.ask())["problem"]["error"] == "key_limit"


def test_an_invalid_http_response_is_a_provider_problem(connected: ChatVisitor) -> None:
    headers = {"Content-Length": "-5"}
    with connected.emulator.faults(status=200, body="x", headers=headers, path=CHAT):
        assert connected.ask().get_json()["error"] in ("provider_down", "network")


def test_a_conversation_without_a_question_cannot_be_repeated(connected: ChatVisitor) -> None:
    conversation = connected.converse("hello")
    with opened(connected.app.config["CHAT_DATABASE"]) as db:
        db.execute("DELETE FROM message")
    refused = connected.ask(None, conversation=conversation)
    assert refused.status_code == 400
    assert "no question to ask again" in refused.get_json()["message"]


def test_workers_that_start_at_the_same_time_wait_for_each_other(tmp_path: Path) -> None:
    path = tmp_path / "chat.db"
    other = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
    other.execute("BEGIN EXCLUSIVE")
    release = threading.Timer(0.3, other.execute, ("COMMIT",))
    release.start()
    example_at("http://127.0.0.1:9", tmp_path)
    release.join()
    assert other.execute("PRAGMA journal_mode").fetchone()[0] == "wal"
    other.close()


def test_a_locked_file_stops_the_start(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(database, "PATIENCE", 0.1)
    other = sqlite3.connect(tmp_path / "chat.db", isolation_level=None)
    other.execute("BEGIN EXCLUSIVE")
    with pytest.raises(sqlite3.OperationalError, match="locked"):
        example_at("http://127.0.0.1:9", tmp_path)
    other.close()


def test_browsers_may_cache_style_sheets(visitor: ChatVisitor) -> None:
    with visitor.get("/static/base.css") as answered:
        assert answered.headers.get("Cache-Control") != "no-store"
