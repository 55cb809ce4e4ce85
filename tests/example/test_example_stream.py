"""The chat with answers as OpenRouter really sends them: odd streams, thoughts, unknown prices."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

import pytest
from chat_visitor import CHAT, ChatVisitor, begin_of, end_of, example_at, html_of, parts_of, sse

from example_app.database import opened


def delta(**members: object) -> dict[str, Any]:
    return {"choices": [{"index": 0, "delta": members}]}


def finished(reason: str, **members: object) -> dict[str, Any]:
    return {"choices": [{"delta": {"content": ""}, "finish_reason": reason, **members}]}


USAGE = {"choices": [{"delta": {}}], "usage": {"total_tokens": 7, "cost": 0.25}}


def answer_to(
    visitor: ChatVisitor, *events: object
) -> tuple[dict[str, Any], str, list[dict[str, Any]]]:
    """Return the end, the HTML and the stored messages of an answer with these events."""
    with visitor.emulator.faults(**sse(*events)):
        response = visitor.ask()
    assert response.status_code == 200
    stored = visitor.exported(begin_of(response)["conversation"])
    assert visitor.get(begin_of(response)["url"]).status_code == 200
    return end_of(response), html_of(response), stored


@pytest.mark.requirement("O12")
@pytest.mark.parametrize(
    "end",
    [
        finished("error"),
        finished("stop", native_finish_reason="network_error"),
        {"choices": [{"delta": {}, "error": {"code": 502, "message": "RAW"}}]},
        {"error": {"code": 502, "message": "RAW", "metadata": {"provider_name": "P"}}},
    ],
)
def test_an_answer_that_broke_off_can_be_asked_for_again(
    connected: ChatVisitor, end: dict[str, Any]
) -> None:
    shown, html, stored = answer_to(connected, delta(content="Half a text"), end, USAGE, "[DONE]")
    assert shown["state"] == stored[1]["state"] == "broken"
    assert shown["problem"]["error"] == "provider_down"
    assert shown["problem"]["retry"] is True
    assert shown["note"].startswith("Broken off · ")
    assert stored[1]["text"] == "Half a text"
    assert "Half a text" in html
    assert "RAW" not in json.dumps(shown)


@pytest.mark.requirement("O12", "O27")
def test_a_filtered_answer_and_a_refusal_say_so(connected: ChatVisitor) -> None:
    end, _, stored = answer_to(
        connected, delta(content="Half"), finished("content_filter"), USAGE, "[DONE]"
    )
    assert end["note"] == "Cut off by a content filter · $0.25 · 7 tokens"
    assert (end["problem"], stored[1]["text"]) == (None, "Half")
    end, html, stored = answer_to(
        connected, delta(refusal="I **cannot**."), finished("content_filter"), USAGE, "[DONE]"
    )
    assert end["note"] == "The model refused to answer · $0.25 · 7 tokens"
    assert "<strong>cannot</strong>" in html
    assert stored[1]["text"] == "I **cannot**."


@pytest.mark.requirement("O13")
def test_half_a_character_is_no_trouble(connected: ChatVisitor) -> None:
    for pieces, text in (
        (["\ud83d", "\ude00 today."], "\U0001f600 today."),
        (["Hm \ud83d"], "Hm \ufffd"),
    ):
        events = [delta(content=piece) for piece in pieces]
        end, html, stored = answer_to(connected, *events, finished("stop"), USAGE, "[DONE]")
        assert (end["state"], end["note"]) == ("done", "$0.25 · 7 tokens")
        assert stored[1]["text"] == text
        assert text in html


@pytest.mark.requirement("O14")
@pytest.mark.parametrize(
    ("reason", "state", "words"),
    [
        ("length", "thought", "Used all its tokens for thinking"),
        ("stop", "unsaid", "Thought, but gave no answer"),
    ],
)
def test_a_budget_spent_on_thinking_is_explained(
    connected: ChatVisitor, reason: str, state: str, words: str
) -> None:
    thoughts = [delta(reasoning="<b>hmm</b> ")] * 30
    with connected.emulator.faults(**sse(*thoughts, finished(reason), USAGE, "[DONE]")):
        response = connected.ask()
    end = end_of(response)
    assert (end["state"], end["problem"]) == (state, None)
    assert end["note"] == f"{words} · $0.25 · 7 tokens"
    lines = parts_of(response)
    assert (
        "".join(line.get("end", line).get("thoughts", "") for line in lines) == "<b>hmm</b> " * 30
    )
    begin = begin_of(response)
    stored = connected.exported(begin["conversation"])
    assert (stored[1]["text"], stored[1]["thoughts"]) == ("", "<b>hmm</b> " * 30)
    page = connected.get(begin["url"]).text
    assert "&lt;b&gt;hmm&lt;/b&gt;" in page
    assert '<details class="thoughts"><summary>' in page, "folded"
    assert words in page
    assert "$0.25" in connected.get("/usage").text
    # Asking again replaces it.
    assert end_of(connected.ask(None, conversation=begin["conversation"]))["state"] == "done"
    assert connected.exported(begin["conversation"])[1]["thoughts"] == ""


@pytest.mark.requirement("O14")
def test_thoughts_stand_before_the_answer_and_are_not_sent_along(connected: ChatVisitor) -> None:
    details = {"reasoning_details": [{"type": "reasoning.text", "text": "hmm"}]}
    end, html, stored = answer_to(
        connected, delta(**details), delta(content="Yes"), finished("stop"), USAGE, "[DONE]"
    )
    assert (end["state"], stored[1]["text"], stored[1]["thoughts"]) == ("done", "Yes", "hmm")
    assert "hmm" not in html
    with connected.emulator.faults(**sse(delta(reasoning="again"), delta(content="A"), "[DONE]")):
        conversation = begin_of(connected.ask())["conversation"]
    connected.ask("more", conversation=conversation)
    sent = [r.body for r in connected.emulator.requests if r.path == CHAT][-1]["messages"]
    assert [message["content"] for message in sent] == ["hello", "A", "more"]


@pytest.mark.requirement("O15")
@pytest.mark.parametrize("usage", [{"total_tokens": 7}, {"total_tokens": 7, "cost": None}, None])
def test_an_unknown_price_is_unknown_and_not_free(
    connected: ChatVisitor, usage: dict[str, Any] | None
) -> None:
    end, _, stored = answer_to(
        connected, delta(content="Hi"), finished("stop"), {"usage": usage}, "[DONE]"
    )
    words = "price not reported · 7 tokens" if usage else "price not reported"
    assert end["note"] == end["totals"] == words
    assert stored[1]["cost"] is None
    page = connected.get("/usage").text
    assert "which are not in the sums: 1" in page
    assert "free" not in page
    assert '<td class="number">not reported</td>' in page


@pytest.mark.requirement("O15")
def test_the_total_says_that_a_price_is_missing(connected: ChatVisitor) -> None:
    with connected.emulator.faults(**sse(delta(content="Hi"), finished("stop"), USAGE, "[DONE]")):
        conversation = begin_of(connected.ask())["conversation"]
    with connected.emulator.faults(**sse(delta(content="Hi"), "[DONE]")):
        end = end_of(connected.ask(conversation=conversation))
    assert end["totals"] == "$0.25 · 7 tokens · not all prices reported"


@pytest.mark.requirement("O17")
@pytest.mark.parametrize(
    "body",
    [
        b'\xef\xbb\xbfdata: {"choices":[{"delta":{"content":"Hi"}}]}\n\ndata: [DONE]\n\n',
        b'data: {"choices":\ndata: [{"delta":{"content":"Hi"}}]}\n\ndata: [DONE]\n\n',
        b'data: {"choices":[{"delta":{"content":"Hi"}}]}\r\rdata: [DONE]\r\r',
        b'data:{"choices":[{"delta":{"content":[{"type":"text","text":"Hi"}]}}]}\n\ndata:[DONE]',
        b': OPENROUTER PROCESSING\n\nid: 1\nevent: message\ndata: {"choices":[{"delta":{"content"'
        b':"Hi"},"finish_reason":"stop"}]}\n\n',
        b'{"choices":[{"message":{"content":"Hi"},"finish_reason":"stop"}]}',
    ],
)
def test_a_stream_is_read_as_the_standard_says(connected: ChatVisitor, body: bytes) -> None:
    fault: dict[str, Any] = {**sse(), "body": body.decode()}
    with connected.emulator.faults(**fault):
        response = connected.ask()
    assert end_of(response)["state"] == "done"
    assert connected.exported(begin_of(response)["conversation"])[1]["text"] == "Hi"


LIMIT = "Key limit exceeded (daily limit). Manage it using https://openrouter.ai/settings/keys"
IN_FLIGHT = {"limit_source": "openrouter_in_flight_budget"}
RESET = {"headers": {"X-RateLimit-Reset": str(int(time.time() + 5 * 3600) * 1000)}}
REFUSALS: tuple[tuple[dict[str, Any], int, str, str], ...] = (
    ({"code": 403, "message": LIMIT}, 402, "key_limit", "reached its spending limit"),
    (
        {"code": 429, "message": "Rate limit exceeded: free-models-per-day", "metadata": RESET},
        429,
        "free_daily",
        "at midnight UTC",
    ),
    (
        {"code": 429, "message": "Rate limit exceeded: free-models-per-min"},
        429,
        "rate_limited",
        "Wait a little",
    ),
    ({"code": 402, "message": "x", "metadata": IN_FLIGHT}, 429, "reserved", "have reserved"),
    (
        {
            "code": 402,
            "message": "This request requires more credits, or fewer max_tokens. You requested up "
            "to 4096 tokens, but can only afford 3919",
        },
        402,
        "too_expensive",
        "too small for an answer of this length",
    ),
    (
        {
            "code": 403,
            "message": "Budget limit exceeded",
            "metadata": {
                "limit_source": "openrouter_workspace_budget",
                "resets_at": "2026-12-01T00:00:00Z",
            },
        },
        402,
        "budget",
        "It is renewed on 1 December at 00:00 UTC.",
    ),
    (
        {"code": 404, "message": "No endpoints found matching your data policy"},
        403,
        "privacy",
        "privacy settings",
    ),
    (
        {"code": 400, "message": "This endpoint's maximum context length is 40960 tokens. However"},
        400,
        "too_long",
        "Start a new chat",
    ),
    ({"code": 403, "metadata": {"reasons": ["x"]}}, 403, "refused", "moderator"),
    (
        {"code": 429, "message": "x", "metadata": {"provider_name": "P"}},
        429,
        "rate_limited",
        "Wait a little",
    ),
    ({"code": 402, "metadata": {"provider_name": "P"}}, 502, "provider_down", "not answering"),
    ({"code": 401, "metadata": {"provider_name": "P"}}, 502, "provider_down", "not answering"),
)


@pytest.mark.requirement("O6", "O11", "O22")
@pytest.mark.parametrize(("error", "status", "name", "words"), REFUSALS)
def test_an_error_means_the_same_in_each_form(
    connected: ChatVisitor, error: dict[str, Any], status: int, name: str, words: str
) -> None:
    for fault in (
        {"status": error["code"], "body": {"error": error}, "path": CHAT},
        {"status": 200, "body": {"id": "gen-1", "error": error}, "path": CHAT},
    ):
        with connected.emulator.faults(**fault):
            response = connected.ask()
        problem = response.get_json()
        assert (response.status_code, problem["error"]) == (status, name), fault
        assert words in problem["message"]
    for events in ([{"error": error}], [delta(content="Half"), {"error": error}]):
        with connected.emulator.faults(**sse(*events)):
            end = end_of(connected.ask())
        assert (end["state"], end["problem"]["error"]) == ("broken", name)
        assert words in end["problem"]["message"]
    assert 'id="prompt"' in connected.get("/").text, "the key must survive"


@pytest.mark.requirement("O6", "O10")
def test_the_links_lead_to_the_cause(connected: ChatVisitor) -> None:
    places = {"key_limit": "/keys/", "privacy": "/settings/privacy", "free_daily": "/credits"}
    found = {}
    for error, _, name, _ in REFUSALS:
        with connected.emulator.faults(**sse({"error": error})):
            link = end_of(connected.ask())["problem"]["link_url"]
        if link:
            found[name] = link
    assert set(found) == {*places, "too_expensive"}
    for name, place in places.items():
        assert place in found[name]


def test_a_file_of_another_version_is_refused(connected: ChatVisitor) -> None:
    file = Path(connected.app.config["CHAT_DATABASE"])
    with opened(str(file)) as db:
        db.execute("PRAGMA user_version = 0")
    with pytest.raises(RuntimeError, match="another version"):
        example_at("http://127.0.0.1:9", file.parent)
