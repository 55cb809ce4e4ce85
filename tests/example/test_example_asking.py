"""Asking a model: the streamed answer, the stored conversation, and protection against spending."""

from __future__ import annotations

import pytest
from chat_visitor import (
    ORIGIN,
    ChatVisitor,
    answered,
    begin_of,
    end_of,
    html_of,
    lines_of,
    sse,
)
from held_model import HeldModel

from example_app.database import opened
from example_app.question import MAX_MESSAGES, MAX_PROMPT, MAX_TOTAL
from flask_openrouter.emulator import Emulator

HOSTILE = (
    "<img src=x onerror=alert(1)> [x](javascript:alert(1)) ![](https://evil.example/?d=1)"
    " </script><script>alert(1)</script> {{7*7}}"
)
#: JSON that a parser does not follow to its end.
TOO_DEEP = ("[" * 100_000, "[" * 100_000 + "]" * 100_000)


def asked_of(emulator: Emulator) -> list[dict[str, str]]:
    """Return the messages of the last completion."""
    body = [r.body for r in emulator.requests if r.path.endswith("/completions")][-1]
    messages: list[dict[str, str]] = body["messages"]
    return messages


def test_an_answer_arrives_in_pieces_with_its_cost(
    held: HeldModel, held_visitor: ChatVisitor
) -> None:
    """The model sends its next words only after the page has received the ones before."""
    held.hold(after="Good")
    response = held_visitor.ask("What is PKCE?", buffered=False)
    lines = lines_of(response)
    assert "begin" in next(lines)
    tail = ""
    for words, rest in (
        ("Good", " question."),
        ("Good question.", " You"),
        ("Good question. You", " asked:"),
        ("Good question. You asked:", " “What"),
        ("Good question. You asked: “What", " is"),
    ):
        while words not in tail:
            line = next(lines)
            assert "tail" in line, line
            tail = line["tail"]
        assert rest not in tail
        held.hold(after=words + rest)
    held.release()
    *parts, last = lines
    html = "".join(part["html"] for part in parts) + last["end"]["html"]
    assert "What is PKCE?" in html
    end = last["end"]
    assert end["state"] == "done"
    assert end["problem"] is None
    assert end["note"].startswith("$0.0")
    assert end["note"].endswith("tokens")
    assert end["totals"] == end["note"]
    assert held_visitor.completions == 1
    assert response.mimetype == "application/x-ndjson"
    assert response.headers["Cache-Control"] == "no-store"
    assert response.headers["X-Accel-Buffering"] == "no"
    response.close()


def test_a_conversation_is_stored_and_sent_along(connected: ChatVisitor) -> None:
    conversation = connected.converse("first", "second")
    assert [m["role"] for m in asked_of(connected.emulator)] == ["user", "assistant", "user"]
    stored = connected.exported(conversation)
    assert [m["role"] for m in stored] == ["user", "assistant"] * 2
    assert stored[3]["state"] == "done"
    assert stored[3]["cost"] > 0
    page = connected.get(f"/c/{conversation}").text
    assert page.count('<article class="message user" data-id="') == 3, (
        "two questions and the empty template"
    )


def test_the_total_covers_the_whole_conversation(connected: ChatVisitor) -> None:
    totals = []
    conversation = None
    for _ in range(2):
        with connected.emulator.faults(**answered("hi", cost=0.25, tokens=1000)):
            response = connected.ask(conversation=conversation)
        conversation = begin_of(response)["conversation"]
        totals.append(end_of(response)["totals"])
    assert totals == ["$0.25 · 1,000 tokens", "$0.50 · 2,000 tokens"]
    assert "$0.50 · 2,000 tokens" in connected.get(f"/c/{conversation}").text


def test_a_free_answer_is_marked_as_free(connected: ChatVisitor) -> None:
    with connected.emulator.faults(**answered("hi", cost=0, tokens=7)):
        assert end_of(connected.ask())["note"] == "free · 7 tokens"


def test_asking_again_replaces_the_answer(connected: ChatVisitor) -> None:
    conversation = connected.converse("first")
    response = connected.ask(None, conversation=conversation)
    assert begin_of(response)["question"] is None
    assert [m["role"] for m in asked_of(connected.emulator)] == ["user"]
    assert len(connected.exported(conversation)) == 2


def test_an_edited_question_replaces_all_later_messages(connected: ChatVisitor) -> None:
    conversation = connected.converse("first")
    second = connected.ask("second", conversation=conversation)
    connected.ask("third", conversation=conversation)
    edited = connected.ask("else", conversation=conversation, replace=begin_of(second)["question"])
    assert end_of(edited)["state"] == "done"
    stored = [m["text"] for m in connected.exported(conversation) if m["role"] == "user"]
    assert stored == ["first", "else"]


def test_a_refused_question_changes_nothing(connected: ChatVisitor) -> None:
    conversation = connected.converse("first")
    before = connected.exported(conversation)
    for status in (402, 429, 500):
        with connected.emulator.faults(status=status, path="/api/v1/chat/completions"):
            assert connected.ask(None, conversation=conversation).status_code >= 400
    assert connected.exported(conversation) == before


def test_only_the_newest_messages_of_a_long_conversation_are_sent(connected: ChatVisitor) -> None:
    with connected.emulator.faults(**answered("x" * (MAX_TOTAL - 1_000))):
        conversation = connected.converse("first")
    connected.ask("y" * 2_000, conversation=conversation)
    assert [m["content"] for m in asked_of(connected.emulator)] == ["y" * 2_000]


def test_a_conversation_has_a_maximum_length(connected: ChatVisitor) -> None:
    conversation = connected.converse("first")
    with opened(connected.app.config["CHAT_DATABASE"]) as db:
        db.executemany(
            "INSERT INTO message (owner, conversation_id, role, text, touched_at)"
            " SELECT owner, id, 'user', 'x', 0 FROM conversation WHERE id = ?",
            [(conversation,)] * MAX_MESSAGES,
        )
    response = connected.ask(conversation=conversation)
    assert response.status_code == 400
    assert "too long" in response.get_json()["message"]


def test_a_conversation_without_a_question_cannot_be_repeated(connected: ChatVisitor) -> None:
    conversation = connected.converse("hello")
    with opened(connected.app.config["CHAT_DATABASE"]) as db:
        db.execute("DELETE FROM message")
    refused = connected.ask(None, conversation=conversation)
    assert refused.status_code == 400
    assert "no question to ask again" in refused.get_json()["message"]


def test_an_answer_cut_at_its_limit_is_marked(connected: ChatVisitor) -> None:
    choice = {"delta": {"content": "half a"}, "finish_reason": "length"}
    with connected.emulator.faults(**sse({"choices": [choice]}, "[DONE]")):
        end = end_of(connected.ask())
    assert end["state"] == "cut"
    assert end["note"] == "Cut at the length limit · price not reported"


def test_without_a_key_no_request_is_sent(visitor: ChatVisitor) -> None:
    response = visitor.ask()
    assert response.status_code == 401
    assert "/openrouter/login" in response.get_json()["login_url"]
    assert visitor.fetch("/models").status_code == 401
    assert visitor.completions == 0


@pytest.mark.requirement("R108")
def test_a_foreign_page_can_neither_spend_nor_delete(connected: ChatVisitor) -> None:
    conversation = connected.converse("hello")
    changes = (f"/c/{conversation}/delete", "/account/delete", "/account/disconnect")
    for headers in (
        {"Sec-Fetch-Site": "cross-site", "Origin": "https://evil.example"},
        {"Sec-Fetch-Site": "same-site", "Origin": "http://localhost:4000"},
        {"Sec-Fetch-Site": "none"},
        {"Origin": "https://evil.example"},
        {"Origin": "http://localhost:4000"},
        {"Origin": "null"},
    ):
        assert connected.ask(headers=headers).status_code == 403, headers
        for path in changes:
            response = connected.client.post(path, base_url=ORIGIN, headers=headers)
            assert response.status_code == 403, (path, headers)
    assert connected.completions == 1
    assert len(connected.exported(conversation)) == 2


@pytest.mark.requirement("R108")
def test_only_posted_json_can_spend(connected: ChatVisitor) -> None:
    """A form on another site can send these three types. JSON needs a preflight, which fails."""
    body = '{"model": "openai/gpt-4o", "text": "hi"}'
    for content_type in ("text/plain", "application/x-www-form-urlencoded", ""):
        response = connected.ask(json=None, data=body, content_type=content_type)
        assert response.status_code == 415, content_type
    preflight = connected.client.options("/ask", base_url=ORIGIN)
    assert "Access-Control-Allow-Origin" not in preflight.headers
    assert connected.get("/ask?text=x").status_code == 405
    assert connected.completions == 0


@pytest.mark.requirement("R108")
def test_hostile_text_of_a_model_stays_text(connected: ChatVisitor) -> None:
    """The emulator's models quote the question, so the hostile text is in the answer, too."""
    response = connected.ask(HOSTILE)
    assert response.mimetype == "application/x-ndjson"
    assert response.headers["X-Content-Type-Options"] == "nosniff"
    page = connected.get(begin_of(response)["url"]).text
    for html in (html_of(response), page):
        assert "&lt;script&gt;alert(1)" in html
        for harmful in ("<script>", "<img src=x", '<img src="https', 'href="javascript:'):
            assert harmful not in html


@pytest.mark.requirement("R109")
def test_an_invalid_question_spends_nothing(connected: ChatVisitor) -> None:
    for changes, words in (
        ({"text": ""}, "Write a message"),
        ({"text": "  \n"}, "Write a message"),
        ({"text": ["hi"]}, "Write a message"),
        ({}, "Write a message"),
        ({"text": "x" * (MAX_PROMPT + 1)}, "at most 100,000"),
        ({"text": "hi", "conversation": 7}, "could not be read"),
        ({"text": "hi", "replace": "1"}, "could not be read"),
        ({"text": "hi", "replace": True}, "could not be read"),
        ({"text": "hi", "replace": 99}, "no longer there"),
        ({"text": "hi", "conversation": "gone"}, "was deleted"),
        ({"text": "hi", "model": ""}, "Choose a model"),
        ({"text": "hi", "model": None}, "Choose a model"),
        ({"text": "hi", "model": "no spaces please"}, "Choose a model"),
        ({"text": "hi", "model": "m" * 300}, "Choose a model"),
    ):
        response = connected.ask(json={"model": "m", **changes})
        assert response.status_code == 400, changes
        assert words in response.get_json()["message"], changes
    for body in ("[]", "nonsense", "", '"hi"', *TOO_DEEP):
        response = connected.ask(json=None, data=body, content_type="application/json")
        assert response.status_code == 400, body[:20]
        assert "could not be read" in response.get_json()["message"], body[:20]
    response = connected.ask(json=None, data=b"x" * 2_000_000, content_type="application/json")
    assert response.status_code == 413, "refused before it is read"
    assert connected.completions == 0


def test_the_longest_prompt_is_accepted(connected: ChatVisitor) -> None:
    assert connected.ask("x" * MAX_PROMPT).status_code == 200
