"""Saving of answers: during writing, at the end, and when the database fails."""

from __future__ import annotations

import sqlite3
import threading
from pathlib import Path

import pytest
from chat_visitor import ChatVisitor, example_at, lines_of
from held_model import HeldModel

from example_app import answer, chat, database
from example_app.database import opened


def test_an_answer_is_saved_while_it_is_written(
    held: HeldModel, held_visitor: ChatVisitor, monkeypatch: pytest.MonkeyPatch
) -> None:
    """If a worker dies, at most two seconds of an answer are lost."""
    assert answer.SAVE_EVERY == 2
    monkeypatch.setattr(answer, "SAVE_EVERY", 0.0)
    monkeypatch.setattr(answer, "HEARTBEAT", 0.05)
    held.hold(after="nice")
    response = held_visitor.ask(buffered=False)
    lines = lines_of(response)
    url = next(lines)["begin"]["url"]
    while "nice" not in next(lines)["tail"]:
        pass
    # The next line comes only after the one before has been saved.
    assert next(iter(response.response)) == b"\n", "a heartbeat"
    (_, half) = held_visitor.exported(url.removeprefix("/c/"))
    assert half["state"] == "writing"
    assert half["text"].rstrip() == "Hello, and nice"
    assert "Still being written" in held_visitor.get(url).text
    held.release()
    end = list(lines)[-1]["end"]
    response.close()
    assert end["state"] == "done"
    (_, whole) = held_visitor.exported(url.removeprefix("/c/"))
    assert whole["text"].startswith(half["text"])


@pytest.mark.parametrize("save_every", [0.0, 1_000.0], ids=["often", "at the end"])
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


def test_one_of_two_simultaneous_tabs_is_refused(
    connected: ChatVisitor, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Both find the conversation idle. The second one that stores its question is refused."""
    conversation = connected.converse("hello")
    monkeypatch.setattr(chat, "_conversation_of", lambda q, history: history.find(conversation))
    first = connected.ask("one", conversation=conversation, buffered=False)
    next(lines_of(first))
    second = connected.ask("two", conversation=conversation)
    assert second.get_json()["error"] == "busy"
    first.close()
    assert len(connected.exported(conversation)) == 3


def test_a_worker_waits_for_another_that_creates_the_tables(tmp_path: Path) -> None:
    other = sqlite3.connect(tmp_path / "chat.db", isolation_level=None, check_same_thread=False)
    other.execute("BEGIN EXCLUSIVE")
    release = threading.Timer(0.1, other.execute, ("COMMIT",))
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
