"""The reader of answers: what it understands of OpenRouter's JSON, streamed and whole."""

from __future__ import annotations

import json
from typing import Any

import pytest
from streams import delta, finished, outcome, sse, whole

from flask_openrouter import client
from flask_openrouter.client import (
    Completion,
    CompletionStream,
    Usage,
    read_completion,
    read_stream,
)
from flask_openrouter.errors import InvalidAnswerError, TransportError


def read(*events: object) -> Completion:
    return read_completion([sse(*events, "[DONE]")])


def texts(*blocks: bytes) -> list[str]:
    return list(read_stream(blocks).iter_text())


def test_the_parts_arrive_one_by_one_and_add_up() -> None:
    usage = {"prompt_tokens": 5, "completion_tokens": 2, "total_tokens": 7, "cost": 0.25}
    stream = read_stream(
        [
            b": OPENROUTER PROCESSING\n\n",
            sse(
                {"id": "gen-1", "model": "a/b", "provider": "P", **delta(role="assistant")},
                delta(content="Hello"),
                delta(content=", you"),
                finished(native_finish_reason="end_turn"),
                {"choices": [{"delta": {}, "finish_reason": "stop"}], "usage": usage},
                "[DONE]",
            ),
            sse(delta(content="never read")),
        ]
    )
    assert not stream.is_complete
    parts = list(stream)
    assert [part.text for part in parts] == ["", "Hello", ", you", "", ""]
    assert [part.is_empty for part in parts] == [True, False, False, False, False]
    assert parts[1].data == delta(content="Hello")
    assert parts[4].usage == Usage(
        prompt_tokens=5, completion_tokens=2, total_tokens=7, cost=0.25, data=usage
    )
    assert stream.is_complete
    answer = stream.completion
    assert (answer.text, answer.reasoning, answer.refusal) == ("Hello, you", "", "")
    assert (answer.id, answer.model, answer.provider) == ("gen-1", "a/b", "P")
    assert (answer.finish_reason, answer.native_finish_reason) == ("stop", "end_turn")
    assert answer.usage == parts[4].usage
    assert answer.data == parts[4].data


@pytest.mark.requirement("O25")
def test_the_usage_may_come_with_or_without_a_choice() -> None:
    usage = {"total_tokens": 7, "cost": 0.5}
    for choices in ([], [{"delta": {}, "finish_reason": "stop"}], None, "odd"):
        answer = read(delta(content="x"), finished(), {"choices": choices, "usage": usage})
        assert answer.usage is not None
        assert (answer.usage.total_tokens, answer.usage.cost) == (7, 0.5)
        assert answer.text == "x"


@pytest.mark.requirement("O25")
def test_annotations_are_read_from_the_message_and_the_choice() -> None:
    first, second = {"type": "url_citation", "url_citation": {"url": "a"}}, {"type": "other"}
    for event in (
        delta(content="x", annotations=[first, second]),
        {"choices": [{"delta": {"content": "x"}, "annotations": [first, second]}]},
        {"choices": [{"delta": {"annotations": [first]}, "annotations": [first, second]}]},
    ):
        # Repeated with the usage.
        answer = read(event, {"choices": [{"annotations": [second]}], "usage": {"cost": 0}})
        assert answer.annotations == (first, second)
    odd: tuple[object, ...] = (None, "x", 7, {"a": 1}, ["x", None, 7])
    for value in odd:
        assert read(delta(content="x", annotations=value)).annotations == ()
    broken = {"url": "\ud83d"}
    assert read(delta(annotations=[broken])).annotations == ({"url": "\ufffd"},)


@pytest.mark.requirement("O15")
@pytest.mark.parametrize(
    ("cost", "expected"),
    [
        (0, 0.0),
        (0.5, 0.5),
        ("0.5", 0.5),
        (None, None),
        ("", None),
        ("free", None),
        (True, None),
        ([0.5], None),
        ({"total": 1}, None),
        (-1, None),
        (float("nan"), None),
        (float("inf"), None),
        (10**400, None),
    ],
)
def test_an_unknown_cost_is_none_and_never_zero(cost: object, expected: float | None) -> None:
    usage = read(delta(content="x"), {"usage": {"total_tokens": 7, "cost": cost}}).usage
    assert usage is not None
    assert (usage.total_tokens, usage.cost) == (7, expected)


@pytest.mark.requirement("O15")
def test_an_answer_paid_at_the_provider_is_not_free() -> None:
    costs = {"cost": 0, "cost_details": {"upstream_inference_cost": 0.02}}
    for value, expected in [(True, True), (False, False), (None, False), ("true", False)]:
        usage = read(delta(content="x"), {"usage": {**costs, "is_byok": value}}).usage
        assert usage is not None
        assert (usage.cost, usage.is_byok) == (0, expected)


@pytest.mark.requirement("O15")
def test_a_missing_usage_is_unknown() -> None:
    for event in ({}, {"usage": None}, {"usage": {}}, {"usage": "free"}, {"usage": []}):
        assert read(delta(content="x"), event).usage is None
    usage = read({"usage": {"total_tokens": "many", "prompt_tokens": None}}).usage
    assert usage == Usage(data={"total_tokens": "many"})


def test_the_usage_has_its_details_and_a_later_one_keeps_what_an_earlier_one_said() -> None:
    details = {
        "prompt_tokens": 5,
        "completion_tokens": 20,
        "completion_tokens_details": {"reasoning_tokens": 15},
        "prompt_tokens_details": {"cached_tokens": 3},
    }
    usage = read({"usage": {"cost": 0.5}}, {"usage": {**details, "cost": None}}).usage
    assert usage is not None
    assert (usage.total_tokens, usage.reasoning_tokens, usage.cached_tokens) == (25, 15, 3)
    assert usage.cost == 0.5
    odd = {"completion_tokens_details": None, "prompt_tokens_details": [1], "total_tokens": 1.0}
    assert read({"usage": odd}).usage == Usage(
        total_tokens=1, data={"prompt_tokens_details": [1], "total_tokens": 1.0}
    )


PARTS = [
    {"type": "text", "text": "one "},
    {"type": "output_text", "text": "two"},
    " three",
    {"type": "image_url", "image_url": {"url": "data:image/png;base64,AA"}},
    {"type": "text", "text": {"value": " four"}},
    None,
    7,
    {"type": "text"},
    {"type": "text", "text": None},
]


@pytest.mark.requirement("O17")
def test_content_may_be_a_list_of_parts() -> None:
    for answer in (
        read(delta(content=PARTS)),
        read_completion([whole({"content": PARTS})]),
        read(delta(content={"type": "text", "text": "one two three four"})),
    ):
        assert answer.text == "one two three four"
    assert read(delta(content=PARTS)).images == ("data:image/png;base64,AA",)
    thoughts = [{"type": "thinking", "thinking": [{"type": "text", "text": "hm"}]}]
    answer = read(delta(content=[*thoughts, {"type": "refusal", "refusal": "no"}]))
    assert (answer.text, answer.reasoning, answer.refusal) == ("", "hm", "no")


@pytest.mark.requirement("O17")
@pytest.mark.parametrize("content", [None, 7, 0.5, True, [], {}, [[]], [None], {"text": 7}])
def test_content_of_an_odd_type_is_no_text(content: object) -> None:
    for answer in (read(delta(content=content)), read_completion([whole({"content": content})])):
        assert answer.text == ""
        assert answer == read_completion([sse(answer.data, "[DONE]")])


@pytest.mark.parametrize(
    "event",
    [
        {},
        {"choices": None},
        {"choices": {}},
        {"choices": [None, 7, "x", []]},
        {"choices": [{}]},
        {"choices": [{"delta": None, "finish_reason": 7, "native_finish_reason": ["x"]}]},
        {"choices": [{"delta": [], "message": "x"}], "id": 7, "model": None, "provider": {}},
        {"type": "ping"},
        {"error": None},
        {"choices": [{"error": None}]},
    ],
)
def test_an_event_without_anything_to_read_is_empty(event: dict[str, Any]) -> None:
    (part, *_) = read_stream([sse(event, finished(), "[DONE]")])
    assert part.is_empty
    assert part.data == event


def test_thoughts_come_from_one_of_the_places_where_they_stand() -> None:
    details = [
        {"type": "reasoning.text", "text": "I think"},
        {"type": "reasoning.summary", "summary": " hard"},
        {"type": "reasoning.encrypted", "data": "c2VjcmV0"},
    ]
    for message, words in (
        ({"reasoning": "I think"}, "I think"),
        ({"reasoning": "I think", "reasoning_details": details}, "I think"),
        ({"reasoning": "", "reasoning_details": details}, "I think hard"),
        ({"reasoning": None, "reasoning_details": details[2:], "content": "x"}, ""),
        ({"reasoning_content": "I think"}, "I think"),
        ({"reasoning": 7, "reasoning_details": "odd"}, "odd"),
    ):
        assert read(delta(**message)).reasoning == words
        assert read_completion([whole(message)]).reasoning == words


@pytest.mark.requirement("O27")
def test_a_refusal_is_shown_in_the_place_of_the_answer() -> None:
    events = (delta(refusal="I can"), delta(refusal="not."), finished("content_filter"), "[DONE]")
    assert texts(sse(*events)) == ["I can", "not."]
    for answer in (read(*events), read_completion([whole({"content": None, "refusal": "No."})])):
        assert answer.text == ""
        assert answer.refusal
    assert read(*events).finish_reason == "content_filter"


def test_images_are_urls() -> None:
    url = "data:image/png;base64,iVBORw0"
    for images in (
        [{"type": "image_url", "image_url": {"url": url}}],
        [{"image_url": url}],
        [{"url": url}],
        [url],
        [None, 7, {}, {"image_url": None}, {"image_url": {"url": ""}}, url],
    ):
        assert read(delta(images=images), delta(images=images)).images == (url,)
        assert read_completion([whole({"images": images})]).images == (url,)
    assert read(delta(images={"url": url})).images == ()


def test_only_the_first_choice_is_read() -> None:
    events = ({"choices": [{"index": i, "delta": {"content": str(i)}}]} for i in (0, 1, 0, 2))
    assert read(*events).text == "00"
    assert read({"choices": [{"index": "0", "text": "an older API"}]}).text == "an older API"


@pytest.mark.requirement("O13")
@pytest.mark.parametrize(
    ("pieces", "expected"),
    [
        (["\ud83d", "\ude00 today."], "\U0001f600 today."),
        (["a\ud83d", "", "\ude00"], "a\U0001f600"),
        (["\ud83d", "\ud83d", "\ude00"], "\ufffd\U0001f600"),
        (["\ud83d"], "\ufffd"),
        (["\ude00", "a"], "\ufffda"),
        (["\ud83d a"], "\ufffd a"),
        (["\U0001f600"], "\U0001f600"),
    ],
)
def test_a_surrogate_pair_is_joined_and_a_lone_half_replaced(
    pieces: list[str], expected: str
) -> None:
    for name in ("content", "reasoning", "refusal"):
        stream = read_stream([sse(*(delta(**{name: piece}) for piece in pieces), "[DONE]")])
        field = "text" if name == "content" else name
        assert "".join(getattr(part, field) for part in stream) == expected
        assert getattr(stream.completion, field) == expected
        answer = read_completion([whole({name: "".join(pieces)})])
        assert getattr(answer, field) == expected


@pytest.mark.requirement("O13")
def test_half_a_character_is_shown_before_the_stream_breaks() -> None:
    parts, error = outcome([sse(delta(content="a\ud83d"))])
    assert [part.text for part in parts] == ["a", "\ufffd"]
    assert isinstance(error, TransportError)


def test_deep_nesting_is_left_out() -> None:
    content: object = "deep"
    for _ in range(400):
        content = [content]
    assert read(delta(content=content, annotations=[{"a": content}])).text == ""
    annotation: dict[str, object] = {}
    for _ in range(100_000):
        annotation = {"a": annotation}
    event = {"choices": [{"annotations": [annotation, {"b": 1}]}]}
    assert Completion.from_json(event).annotations == ({"b": 1},)
    deeper = '{"choices":[{"delta":{"content":' + "[" * 200_000 + "]" * 200_000 + "}}]}"
    _, error = outcome([sse(deeper, "[DONE]")])
    assert isinstance(error, InvalidAnswerError)


def test_a_whole_answer_is_read_by_both_functions() -> None:
    body = whole({"role": "assistant", "content": "Hi"}, usage={"cost": 1, "total_tokens": 3})
    for blocks in ([body], [b"\n  \n", body], [b"\xef\xbb\xbf", body], [body[:5], body[5:]]):
        answer = read_completion(blocks)
        assert (answer.text, answer.finish_reason, answer.id) == ("Hi", "stop", "gen-1")
        assert answer.usage is not None
        assert answer.usage.cost == 1.0
        stream = read_stream(blocks)
        assert list(stream.iter_text()) == ["Hi"]
        assert stream.is_complete
    without_reason = json.dumps({"choices": [{"message": {"content": None}}]}).encode()
    assert read_completion([without_reason]).text == ""


@pytest.mark.parametrize(
    "body",
    [b"<html>Bad gateway</html>", b"{}", b'{"id":"gen-1"}', b'{"choices":[]}', b'{"a":', b"[1]"],
)
def test_what_is_neither_a_stream_nor_an_answer_is_refused(body: bytes) -> None:
    for function in (read_completion, lambda reply: list(read_stream(reply))):
        with pytest.raises(InvalidAnswerError, match="neither a stream nor an answer"):
            function([body])


def test_an_answer_may_be_limited_in_size() -> None:
    body = whole({"content": "x" * 1000})
    assert read_completion([body], max_bytes=2000).text == "x" * 1000
    for stream in (body, sse(delta(content="x" * 1000)), b"data: " + b"x" * 1000):
        blocks = [stream[i : i + 100] for i in range(0, len(stream), 100)]
        with pytest.raises(InvalidAnswerError, match="too large"):
            read_completion(blocks, max_bytes=600)


def test_the_first_words_can_be_waited_for() -> None:
    stream = read_stream([sse(delta(role="assistant"), delta(content="Hi"), "[DONE]")])
    assert stream.start() is stream
    assert stream.start() is stream
    assert [part.text for part in stream] == ["", "Hi"]
    assert stream.completion.text == "Hi"
    assert list(read_stream([sse("[DONE]")]).start()) == []


def test_the_public_names_are_found() -> None:
    assert client.CompletionStream is CompletionStream
    assert set(client.__all__) >= {"Completion", "CompletionStream", "Usage", "read_completion"}
    with pytest.raises(AttributeError, match="no attribute 'read_streams'"):
        _ = client.read_streams  # type: ignore[attr-defined]
