"""Conversations: their owners, their actions and their limits."""

from __future__ import annotations

import time
from pathlib import Path

import pytest
from chat_visitor import ChatVisitor, answered, begin_of
from flask import Flask

from example_app.database import opened, transaction
from example_app.question import title_of
from flask_openrouter.emulator import Emulator


def test_visitors_cannot_reach_the_conversations_of_others(
    connected: ChatVisitor, other: ChatVisitor
) -> None:
    conversation = connected.converse("my secret")
    question = begin_of(connected.ask("more", conversation=conversation))["question"]
    base = f"/c/{conversation}"
    assert "my secret" not in other.get("/").text
    for path in ("", "/export.md", f"/messages/{question}.md"):
        assert other.get(base + path).status_code == 404
    for path in ("/rename", "/delete"):
        assert other.post(base + path, data={"title": "taken"}).status_code == 404
    assert other.ask("hi", conversation=conversation).status_code == 400
    assert other.ask(None, conversation=conversation).status_code == 400
    mine = other.converse("mine")
    assert other.ask("hi", conversation=mine, replace=question).status_code == 400
    assert len(connected.exported(conversation)) == 4
    other.post("/account/delete")
    assert len(connected.exported(conversation)) == 4


def test_the_same_account_in_another_browser_is_another_owner(
    connected: ChatVisitor, app: Flask, openrouter_emulator: Emulator
) -> None:
    conversation = connected.converse("hello")
    elsewhere = ChatVisitor(app, openrouter_emulator)
    elsewhere.connect()
    assert elsewhere.get(f"/c/{conversation}").status_code == 404


def test_the_next_person_in_the_same_browser_finds_nothing(connected: ChatVisitor) -> None:
    conversation = connected.converse("hello")
    connected.post("/account/disconnect")
    with connected.emulator.configured(openrouter_user_id="user_other"):
        connected.connect()
    assert connected.get(f"/c/{conversation}").status_code == 404
    connected.connect()
    assert connected.get(f"/c/{conversation}").status_code == 200


def test_without_an_account_name_the_key_itself_is_the_owner(
    visitor: ChatVisitor, openrouter_emulator: Emulator
) -> None:
    with openrouter_emulator.configured(openrouter_user_id=None):
        visitor.connect()
        conversation = visitor.converse("hello")
        assert visitor.get(f"/c/{conversation}").status_code == 200
        visitor.connect()
    assert visitor.get(f"/c/{conversation}").status_code == 404


def test_the_owner_in_the_file_does_not_reveal_the_session(connected: ChatVisitor) -> None:
    connected.converse("hello")
    with connected.client.session_transaction(base_url="http://localhost:3000") as session:
        browser = session["browser"]
    assert len(browser) >= 22, "128 bits"
    with opened(connected.app.config["CHAT_DATABASE"]) as db:
        dump = "".join(db.iterdump())
    assert browser not in dump
    assert connected.api_key not in dump


def test_renaming_changes_the_title_everywhere(connected: ChatVisitor) -> None:
    conversation = connected.converse("hello")
    response = connected.post(f"/c/{conversation}/rename", data={"title": "  <b>Soup</b>\n "})
    assert response.location == f"/c/{conversation}"
    page = connected.get(response.location).text
    assert page.count("&lt;b&gt;Soup&lt;/b&gt;") >= 3
    assert "<b>Soup" not in page
    connected.post(f"/c/{conversation}/rename", data={"title": " "})
    assert "Soup" in connected.get(f"/c/{conversation}").text


def test_deleting_keeps_the_spending_only(connected: ChatVisitor) -> None:
    with connected.emulator.faults(**answered("a canary", cost=0.5)):
        conversation = connected.converse("another canary")
    assert connected.post(f"/c/{conversation}/delete").location == "/"
    assert connected.get(f"/c/{conversation}").status_code == 404
    assert "$0.50" in connected.get("/usage").text
    path = Path(connected.app.config["CHAT_DATABASE"])
    for file in path.parent.iterdir():
        assert b"canary" not in file.read_bytes(), file
    connected.post("/account/delete")
    assert "$0.50" not in connected.get("/usage").text


def test_a_conversation_is_exported_as_markdown(connected: ChatVisitor) -> None:
    with connected.emulator.faults(**answered("**Yes**, I can.", cost=0.0012, tokens=345)):
        conversation = connected.converse("Can you?\r\nSet-Cookie: x")
    markdown = connected.get(f"/c/{conversation}/export.md")
    assert markdown.mimetype == "text/markdown"
    assert markdown.headers["Content-Disposition"] == (
        'attachment; filename="Can-you-Set-Cookie-x.md"'
    )
    assert "## You\n\nCan you?" in markdown.text
    assert "**Yes**, I can.\n\n*$0.0012 · 345 tokens*" in markdown.text
    (question, answer) = connected.exported(conversation)
    assert question["role"] == "user"
    names = ("role", "text", "model", "state", "tokens", "cost")
    values = ("assistant", "**Yes**, I can.", "openai/gpt-4o-mini", "done", 345, 0.0012)
    assert tuple(answer[name] for name in names) == values


def test_the_source_of_one_message_can_be_copied(connected: ChatVisitor) -> None:
    with connected.emulator.faults(**answered("**Yes**")):
        begin = begin_of(connected.ask())
    response = connected.fetch(f"{begin['url']}/messages/{begin['answer']}.md")
    assert response.text == "**Yes**"
    assert connected.fetch(f"{begin['url']}/messages/999.md").status_code == 404


def test_a_conversation_is_named_after_its_first_question() -> None:
    for text, title in (
        ("Hello", "Hello"),
        ("# A  **bold**\nidea `x`", "A bold idea x"),
        ("***", "Untitled"),
        ("word " * 30, "word " * 10 + "word…"),
        ("x" * 100, "x" * 59 + "…"),
    ):
        assert title_of(text) == title


def test_conversations_that_are_long_unused_are_deleted(connected: ChatVisitor) -> None:
    with connected.emulator.faults(**answered("a canary", cost=0.5)):
        old = connected.converse("a canary")
    new = connected.converse("new")
    with opened(connected.app.config["CHAT_DATABASE"]) as db:
        past = time.time() - 91 * 86_400
        db.execute("UPDATE conversation SET updated_at = ? WHERE id = ?", (past, old))
        connected.ask()
        assert "canary" not in "".join(db.iterdump())
    assert connected.get(f"/c/{old}").status_code == 404
    assert connected.get(f"/c/{new}").status_code == 200
    assert "$0.50" in connected.get("/usage").text


def test_an_answer_whose_worker_died_does_not_block_the_conversation(
    connected: ChatVisitor,
) -> None:
    conversation = connected.converse("hello")
    with opened(connected.app.config["CHAT_DATABASE"]) as db:
        db.execute(
            "UPDATE message SET state = 'writing', touched_at = ? WHERE role = 'assistant'",
            (time.time() - 60,),
        )
    assert "Broken off" in connected.get(f"/c/{conversation}").text
    assert connected.ask(conversation=conversation).status_code == 200


def test_a_transaction_is_all_or_nothing(app: Flask) -> None:
    with opened(app.config["CHAT_DATABASE"]) as db:

        def fail() -> None:
            with transaction(db):
                db.execute("INSERT INTO trial VALUES ('today', 'never', 1)")
                raise ZeroDivisionError

        with pytest.raises(ZeroDivisionError):
            fail()
        assert not db.execute("SELECT * FROM trial").fetchall()
