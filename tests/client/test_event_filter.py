"""The filter in front of the packages that read streams of events."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from time import process_time
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from streams import check_filter, delta, filtered, finished, sse

from flask_openrouter.client.event_filter import EventFilter, clean_json
from flask_openrouter.client.events import MAX_EVENT_BYTES, EventReader
from flask_openrouter.errors import (
    InvalidAnswerError,
    ProviderError,
    ServerError,
    TransportError,
)

GOOD = sse(delta(content="a"))
LINES = (
    "data: ",
    "data",
    "event: error",
    "id: 1",
    ": a",
    "{}",
    "[DONE]",
    "\ufeff",
    "\n",
    "\r",
    "\r\n",
    "data: {}\n\n",
)


@given(st.lists(st.sampled_from(LINES) | st.text(max_size=3), max_size=12))
def test_what_passes_is_json(pieces: list[str]) -> None:
    check_filter("".join(pieces).encode())


@given(st.binary(max_size=60))
def test_no_bytes_are_too_odd(data: bytes) -> None:
    for stream in (data, b"data: " + data, GOOD + data):
        check_filter(stream)


def test_it_ends_with_the_error_of_an_event() -> None:
    for rest, kind in (
        (b"data: [1]\n\n", InvalidAnswerError),
        (b"data: {\n\n", InvalidAnswerError),
        (b"data: {", TransportError),
        (b"event: error\ndata: x", ServerError),
        (b'data: {"error": {"code": 500}}', ServerError),
    ):
        events, error = filtered([GOOD + rest])
        assert len(events) == 1
        assert type(error) is kind


@pytest.mark.parametrize("line", [b"data: ", b": "])
def test_an_event_that_never_ends_is_too_large(line: bytes) -> None:
    block = line + bytes(1024 * 1024)
    events, error = filtered([GOOD, *[block] * (MAX_EVENT_BYTES // len(block) + 1)])
    assert len(events) == 1
    assert isinstance(error, InvalidAnswerError)
    assert "too large" in str(error)


def test_an_event_in_many_blocks_takes_no_time_that_grows_with_its_square() -> None:
    """A picture is one event of megabytes. Every block was copied with all that came before."""

    def seconds(read: Callable[[bytes], Iterator[object]]) -> float:
        begun = process_time()
        for _ in range(8 * 1024):
            assert list(read(b"x" * 1024)) == []
        return process_time() - begun

    events = EventFilter(lambda event, data: None, lambda error, data: error)
    # time: relative to a reader that copies each block once; 180 times as long when squared.
    assert seconds(events.read) < 50 * seconds(EventReader().read)


@pytest.mark.requirement("O13")
def test_pairs_that_are_split_are_joined_in_each_choice_and_each_text() -> None:
    def both(first: str, second: str, rest: object) -> dict[str, Any]:
        call = {"index": 1, "function": {"arguments": rest}}
        return {
            "choices": [
                {"index": 0, "delta": {"content": first, "tool_calls": [call]}},
                {"index": 1, "delta": {"content": second, "reasoning": rest}, "text": rest},
            ]
        }

    parts = [
        both("a\ud83d", "\ud83d", "\ud83c"),
        {"choices": [{"index": 1, "delta": {"content": "", "role": "assistant"}}]},
        {"choices": [{"index": 1, "delta": {"content": "\ude01"}}]},
        both("\ude00b", "c\ud83d\ude02\ud83d", "\udf0d"),
        both("", "\ud83d", None),
        both("c", "d", "\udf0d"),
    ]
    events, error = filtered([sse(*parts, "[DONE]")])
    assert error is None
    found: dict[object, str] = {"a": "", "b": "", "call": "", "reasoning": "", "text": ""}
    for event in events[:-1]:
        event.data.encode()
        for choice in json.loads(event.data)["choices"]:
            delta = choice["delta"]
            found["ab"[choice["index"]]] += delta["content"]
            for call in delta.get("tool_calls", ()):
                found["call"] += call["function"]["arguments"] or ""
            found["reasoning"] += delta.get("reasoning") or ""
            found["text"] += choice.get("text") or ""
    assert found == {
        "a": "a\U0001f600bc",
        "b": "\U0001f601c\U0001f602\ufffd\ufffdd",
        **dict.fromkeys(("call", "reasoning", "text"), "\U0001f30d\ufffd"),
    }


@pytest.mark.requirement("O13")
def test_a_half_that_is_never_completed_is_replaced_at_the_end() -> None:
    start = {"id": "gen-1", "model": "\ude00", "usage": {"cost": 1}}
    choices = [
        {"index": 0, "delta": {"content": "a\ud83d", "tool_calls": [["\ud83d"]]}},
        {"index": 1, "text": "b\ud83d"},
        "\ud83d",
    ]
    stream = sse({**start, "choices": choices})
    added = {
        "id": "gen-1",
        "model": "\ufffd",
        "choices": [
            {"index": 0, "finish_reason": None, "delta": {"content": "\ufffd"}},
            {"index": 1, "finish_reason": None, "text": "\ufffd"},
        ],
    }
    for end in (b"", b"data: [DONE]\n\n"):
        events, _ = filtered([stream + end])
        assert json.loads(events[0].data)["choices"][0]["delta"]["content"] == "a"
        found = json.loads(clean_json(events[1].data.encode()))
        assert found == added
        assert [event.is_done for event in events[2:]] == [True] * bool(end)


@pytest.mark.requirement("O13")
def test_the_events_of_responses_are_joined_and_keep_their_names() -> None:
    def event(kind: str, **members: object) -> bytes:
        data = json.dumps({"type": kind, **members})
        return f"event: {kind}\nid: 1\ndata: {data}\n\n".encode()

    words = "response.output_text.delta"
    events, _ = filtered(
        [
            event(words, delta="\ud83d"),
            event("response.reasoning_text.delta", delta="\ude01"),
            event(words, delta="\ude00"),
            event("response.output_text.done", text="\U0001f600\ud83d"),
        ]
    )
    assert [(e.kind, json.loads(e.data).get("delta")) for e in events[:3]] == [
        (words, ""),
        ("response.reasoning_text.delta", "\ufffd"),
        (words, "\U0001f600"),
    ]
    assert json.loads(events[3].data)["text"] == "\U0001f600\ufffd"


@pytest.mark.requirement("O13")
def test_events_without_lone_halves_are_passed_on_byte_for_byte() -> None:
    stream = b"".join(
        b'id: 1\ndata:{ "choices" : [{"delta":{"content":"%b"}}]}\n\n' % text
        for text in (b"a", "\U0001f600".encode(), rb"\ud83D\uDe00\n", rb"\\ud83d\u00e9\\\\\"\uffff")
    )
    passed = b"".join(EventFilter(lambda event, data: None, lambda error, data: error).read(stream))
    assert passed == stream
    nested = b'%b"\\ud83d"%b' % (b"[" * 400, b"]" * 400)
    (event,), _ = filtered([b'data: {"choices": %b}\n\n' % nested])
    assert event.data.count("\\ufffd") == 1


@pytest.mark.requirement("O12")
def test_an_answer_that_broke_off_is_an_error_at_its_end() -> None:
    usage = {"choices": [], "usage": {"cost": 0.5}}
    for end in (
        finished("error"),
        finished("stop", native_finish_reason="network_error"),
        {"provider": "P", "choices": [{"index": 1, "finish_reason": "error"}]},
    ):
        for rest in ([], ["[DONE]"], [usage], [usage, "[DONE]"], [finished()]):
            events, error = filtered([GOOD + sse(end, *rest)], has_end=True)
            assert len(events) == 2 + len([each for each in rest if each != "[DONE]"])
            assert type(error) is ProviderError
            assert error.provider_name == ("P" if "provider" in end else None)
        _, error = filtered([GOOD + sse(end, {"error": {"code": 500}})])
        assert type(error) is ServerError


@pytest.mark.requirement("O12")
def test_a_stream_without_an_end_broke_off() -> None:
    usage = {"choices": [], "usage": {"cost": 0.5}}
    open_ones: tuple[list[object], ...] = (
        [],
        [delta(content="a")],
        [{"choices": [{"delta": {"tool_calls": []}, "finish_reason": None}]}, usage],
        [{"choices": [{"delta": {"content": "a"}, "finish_reason": ""}]}],
        [{"type": "response.created"}, {"type": "response.output_text.delta", "delta": "a"}],
    )
    for events in open_ones:
        stream = b": OPENROUTER PROCESSING\n\n" + sse(*events)
        passed, error = filtered([stream], has_end=True)
        assert len(passed) == len(events)
        assert type(error) is TransportError
        for end in (
            "[DONE]",
            finished("length"),
            finished("content_filter", native_finish_reason="content_policy_error"),
            {"choices": [{"index": 1, "delta": {}, "finish_reason": "tool_calls"}]},
            {"type": "response.completed"},
            {"type": "response.incomplete"},
        ):
            for whole in (sse(end), sse(end, usage), sse(end).rstrip()):
                assert filtered([stream + whole], has_end=True)[1] is None
        assert filtered([stream])[1] is None
