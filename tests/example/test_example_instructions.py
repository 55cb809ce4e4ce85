"""Instructions: a system prompt for one conversation."""

from __future__ import annotations

import pytest
from chat_visitor import CHAT, ChatVisitor, begin_of

from example_app.question import MAX_INSTRUCTIONS

FRENCH = "Answer in French."


def systems(visitor: ChatVisitor) -> list[list[str]]:
    """Return the system prompts of each completion that was requested."""
    bodies = [request.body for request in visitor.emulator.requests if request.path == CHAT]
    return [[m["content"] for m in b["messages"] if m["role"] == "system"] for b in bodies]


def test_instructions_go_before_all_messages_of_their_conversation(connected: ChatVisitor) -> None:
    conversation = begin_of(connected.ask("hello", instructions=FRENCH))["conversation"]
    connected.ask("again", conversation=conversation)
    connected.ask(None, conversation=conversation)
    connected.ask("other")
    connected.ask("changed", conversation=conversation, instructions="Be brief.")
    connected.ask("removed", conversation=conversation, instructions="")
    connected.ask("still", conversation=conversation)
    assert systems(connected) == [[FRENCH], [FRENCH], [FRENCH], [], ["Be brief."], [], []]
    assert [m["role"] for m in connected.exported(conversation)[:2]] == ["user", "assistant"]


def test_a_page_shows_the_instructions_of_its_conversation(connected: ChatVisitor) -> None:
    conversation = begin_of(connected.ask("hello", instructions="<b>Klingon</b>"))["conversation"]
    assert "&lt;b&gt;Klingon&lt;/b&gt;</textarea>" in connected.get(f"/c/{conversation}").text
    assert "Klingon" not in connected.get("/").text


@pytest.mark.parametrize("wrong", [7, ["a"], {}, "x" * (MAX_INSTRUCTIONS + 1)])
def test_wrong_instructions_are_refused(connected: ChatVisitor, wrong: object) -> None:
    assert connected.ask("hello", instructions=wrong).status_code == 400
    assert connected.completions == 0
