"""Versions of messages, the model of a conversation, and what is known about money, over HTTP."""

from __future__ import annotations

from typing import Any

import pytest
from chat_visitor import CHAT, ORIGIN, ChatVisitor, answered, begin_of, end_of, html_of, sse

from example_app.database import opened

HALF = {"choices": [{"delta": {"content": "half"}}]}


def texts(visitor: ChatVisitor, conversation: str) -> list[str]:
    return [message["text"] for message in visitor.exported(conversation)]


def choose_version(visitor: ChatVisitor, conversation: str, message_id: object) -> int:
    headers = {"Sec-Fetch-Site": "same-origin"}
    path = f"/c/{conversation}/versions/{message_id}"
    return visitor.client.post(path, base_url=ORIGIN, headers=headers).status_code


@pytest.mark.parametrize(
    "fault",
    [
        sse(HALF),
        sse({"choices": [{"delta": {"content": "half"}, "finish_reason": "content_filter"}]}),
        sse({"choices": [{"delta": {"reasoning": "hmm"}, "finish_reason": "length"}]}, "[DONE]"),
        sse("[DONE]"),
        {"path": CHAT, "mid_stream": True, "status": 402},
    ],
    ids=["broken", "filtered", "thought", "empty", "no credit"],
)
@pytest.mark.parametrize("is_edit", [False, True])
def test_an_earlier_answer_stays_until_another_is_whole(
    connected: ChatVisitor, fault: dict[str, Any], is_edit: bool
) -> None:
    with connected.emulator.faults(**answered("good")):
        response = connected.ask("question")
    begin = begin_of(response)
    conversation = begin["conversation"]
    again = {"replace": begin["question"]} if is_edit else {}
    text = "edited" if is_edit else None
    with connected.emulator.faults(**fault):
        end_of(connected.ask(text, conversation=conversation, **again))
    assert texts(connected, conversation) == ["question", "good"]
    with connected.emulator.faults(**answered("better")):
        connected.ask(text, conversation=conversation, **again)
    assert texts(connected, conversation) == [text or "question", "better"]
    first = begin["question"] if is_edit else begin["answer"]
    assert choose_version(connected, conversation, first) == 204
    assert texts(connected, conversation) == ["question", "good"]


def test_only_versions_of_the_own_conversation_can_be_chosen(
    connected: ChatVisitor, other: ChatVisitor
) -> None:
    begin = begin_of(connected.ask("mine"))
    theirs = other.converse("theirs")
    for visitor, conversation in ((other, begin["conversation"]), (other, theirs)):
        assert choose_version(visitor, conversation, begin["answer"]) == 404
    for number in (999, 2**63 - 1, 2**63, "9" * 4_000):
        assert choose_version(connected, begin["conversation"], number) == 404, number


def test_an_answer_whose_worker_died_gives_way_to_the_earlier_one(connected: ChatVisitor) -> None:
    with connected.emulator.faults(**answered("good")):
        conversation = begin_of(connected.ask("question"))["conversation"]
    connected.ask(None, conversation=conversation)
    with opened(connected.app.config["CHAT_DATABASE"]) as db:
        db.execute("UPDATE message SET state = 'writing', touched_at = 0 WHERE id = 3")
    assert texts(connected, conversation) == ["question", "good"]


def test_the_model_of_a_conversation_survives_another_choice(connected: ChatVisitor) -> None:
    connected.fetch("/models")
    conversation = connected.converse("hello")
    connected.ask("other", model="anthropic/claude-sonnet-4.5")
    assert 'data-id="openai/gpt-4o-mini"' in connected.get(f"/c/{conversation}").text
    assert 'data-id="anthropic/claude-sonnet-4.5"' in connected.get("/").text
    chosen = {"model": "mistralai/mistral-nemo", "conversation": conversation}
    for body in (chosen, {**chosen, "conversation": "\ud800"}):
        response = connected.client.post(
            "/models/chosen", base_url=ORIGIN, json=body, headers={"Sec-Fetch-Site": "same-origin"}
        )
        assert response.status_code == 204
    assert 'data-id="mistralai/mistral-nemo"' in connected.get(f"/c/{conversation}").text


@pytest.mark.requirement("O15")
def test_an_unknown_cost_is_never_shown_as_nothing(connected: ChatVisitor) -> None:
    with connected.emulator.faults(**sse(HALF, "[DONE]")):
        end = end_of(connected.ask())
    assert "price not reported" in end["note"]
    assert "price not reported" in end["totals"]
    page = " ".join(connected.get("/usage").text.split())
    assert "Today</dt><dd>not reported</dd>" in page
    with connected.emulator.faults(**answered("hi", cost=0.25)):
        connected.ask()
    page = " ".join(connected.get("/usage").text.split())
    assert "Today</dt><dd>at least $0.25</dd>" in page
    assert "at least $0.25</td>" in page, "the model has an answer without a price, too"


def test_a_lack_of_credit_in_mid_answer_is_shown_on_every_page(connected: ChatVisitor) -> None:
    with connected.emulator.faults(path=CHAT, mid_stream=True, status=402):
        connected.ask()
    for path in ("/", "/usage", "/account"):
        assert "When you last asked: There is no credit left" in connected.get(path).text
    connected.ask()
    assert "When you last asked" not in connected.get("/").text


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ([{"type": "text", "text": "one "}, {"type": "text", "text": "two"}], "one two"),
        ("\ud83d", "\ufffd"),
        ("&\x00</p>", "&amp;\ufffd&lt;/p&gt;"),
    ],
    ids=["parts", "half a character", "control"],
)
def test_text_in_any_form_is_shown(connected: ChatVisitor, content: Any, words: str) -> None:
    choice = {"delta": {"content": content}}
    with connected.emulator.faults(**sse({"choices": [choice]}, "[DONE]")):
        response = connected.ask("a \ud83d b")
    assert words in html_of(response)
    page = connected.get(begin_of(response)["url"])
    assert words in page.text
    assert "a \ufffd b" in page.text


@pytest.mark.parametrize(
    ("url", "words"),
    [
        ("https://a.example/x.png", 'href="https://a.example/x.png"'),
        ("data:image/png;base64,AAAA", "a picture, which this chat cannot show"),
    ],
)
def test_a_picture_in_an_answer_is_named(connected: ChatVisitor, url: str, words: str) -> None:
    images = [{"type": "image_url", "image_url": {"url": url}}]
    choice = {"delta": {"images": images}, "finish_reason": "stop"}
    with connected.emulator.faults(**sse({"choices": [choice]}, "[DONE]")):
        response = connected.ask()
    assert words in html_of(response)
    assert "base64" not in connected.get(begin_of(response)["url"]).text
