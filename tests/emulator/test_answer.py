"""What a chat answers beyond words: calls, JSON, thoughts, pictures, sources."""

from __future__ import annotations

import base64
import json
from typing import Any

import pytest
import requests
from cases import case
from inference import TIME, WEATHER, ask, deltas, post, stream, user
from jsonschema import Draft202012Validator
from openrouter_schemas import assert_documented, assert_schema
from protocol_steps import error_of

from flask_openrouter.emulator import Emulator

SOUP = {
    "type": "object",
    "properties": {
        "name": {"type": "string", "minLength": 3},
        "hours": {"type": "integer", "minimum": 2, "maximum": 4},
        "kind": {"enum": ["thick", "clear"]},
        "tags": {"type": "array", "items": {"type": "string"}, "minItems": 2},
    },
    "required": ["name", "hours", "kind", "tags"],
    "additionalProperties": False,
}
AS_SOUP = {"type": "json_schema", "json_schema": {"name": "soup", "strict": True, "schema": SOUP}}


def message_of(answer: Any) -> Any:
    return answer["choices"][0]["message"]


def called(answer: Any) -> list[str]:
    return [call["function"]["name"] for call in message_of(answer).get("tool_calls", [])]


@pytest.mark.requirement("E3")
def test_a_question_with_tools_is_answered_by_a_call(
    emulator: Emulator, http: requests.Session
) -> None:
    answer = ask(http, emulator, "What is the weather in Paris?", tools=[WEATHER])
    assert_documented(answer, "/chat/completions", "post", 200)
    assert answer["choices"][0]["finish_reason"] == "tool_calls"
    assert message_of(answer)["content"] is None
    (call,) = message_of(answer)["tool_calls"]
    assert call["type"] == "function"
    arguments = json.loads(call["function"]["arguments"])
    assert arguments == {"city": "Paris", "unit": "celsius"}


@pytest.mark.requirement("E3")
def test_a_call_is_streamed_in_parts(emulator: Emulator, http: requests.Session) -> None:
    text = "What is the weather in Paris, and what is the time?"
    chunks = stream(http, emulator, text, tools=[WEATHER, TIME])
    for chunk in chunks:
        assert_schema(chunk, "ChatStreamChunk")
    parts = [part for calls in deltas(chunks, "tool_calls") for part in calls]
    begun = [part for part in parts if "id" in part]
    assert [part["function"]["name"] for part in begun] == ["get_weather", "getTime"]
    assert [part["index"] for part in begun] == [0, 1]
    assert len(parts) > 4
    arguments = ["", ""]
    for part in parts:
        arguments[part["index"]] += part["function"]["arguments"]
    assert json.loads(arguments[0])["city"] == "Paris"
    assert json.loads(arguments[1]) == {}
    assert deltas(chunks, "content") == []
    assert [c["choices"][0]["finish_reason"] for c in chunks[-2:]] == ["tool_calls"] * 2


@pytest.mark.requirement("E3")
def test_the_result_of_a_tool_is_answered_by_text(
    emulator: Emulator, http: requests.Session
) -> None:
    question = user("What is the weather in Paris?")
    first = message_of(ask(http, emulator, messages=[question], tools=[WEATHER]))
    call_id = first["tool_calls"][0]["id"]
    for result, shown in [
        ("18 °C, ```windy```", "18 °C, ```windy```"),
        ([{"type": "text", "text": "rain"}], "rain"),
        ("", "returned nothing"),
        ("x" * 500, "x" * 280 + "…"),
    ]:
        with case(result):
            tool = {"role": "tool", "tool_call_id": call_id, "content": result}
            answer = ask(http, emulator, messages=[question, first, tool], tools=[WEATHER])
            assert shown in message_of(answer)["content"]
            assert answer["choices"][0]["finish_reason"] == "stop"


@pytest.mark.requirement("E3")
def test_tool_choice_decides_whether_a_tool_is_called(
    emulator: Emulator, http: requests.Session
) -> None:
    both = [WEATHER, TIME]
    for text, options, expected in [
        ("Hello!", {}, ["get_weather"]),
        ("What time is it?", {}, ["getTime"]),
        ("The time and the weather?", {}, ["get_weather", "getTime"]),
        ("The time and the weather?", {"parallel_tool_calls": False}, ["get_weather"]),
        ("What time is it?", {"tool_choice": "none"}, []),
        ("What time is it?", {"tool_choice": "required"}, ["getTime"]),
        ("What time is it?", {"tool_choice": {"type": "auto"}}, ["getTime"]),
        (
            "What time is it?",
            {"tool_choice": {"type": "function", "function": {"name": "get_weather"}}},
            ["get_weather"],
        ),
        ("Hello!", {"tools": [{"type": "openrouter:datetime"}]}, []),
    ]:
        with case(text, options):
            assert called(ask(http, emulator, text, **{"tools": both, **options})) == expected


@pytest.mark.requirement("E3")
def test_required_tools_are_called_one_after_the_other(
    emulator: Emulator, http: requests.Session
) -> None:
    """So do agents whose last tool delivers the result."""
    messages: list[dict[str, Any]] = [
        user("Before"),
        {"role": "assistant", "content": None, "tool_calls": [TIME, 5, {"function": None}]},
        user("What is the weather?"),
    ]
    order = []
    for _ in range(3):
        answer = ask(
            http, emulator, messages=messages, tools=[WEATHER, TIME], tool_choice="required"
        )
        order += called(answer)
        messages += [message_of(answer), {"role": "tool", "content": "Wrong."}]
    assert order == ["get_weather", "getTime", "getTime"]


@pytest.mark.requirement("E3")
def test_a_structured_answer_fits_its_schema(emulator: Emulator, http: requests.Session) -> None:
    answer = ask(http, emulator, "A soup, please", response_format=AS_SOUP)
    assert_documented(answer, "/chat/completions", "post", 200)
    Draft202012Validator(SOUP).validate(json.loads(message_of(answer)["content"]))
    chunks = stream(http, emulator, "A soup, please", response_format=AS_SOUP)
    assert "".join(deltas(chunks, "content")) == message_of(answer)["content"]
    free = ask(http, emulator, "A soup, please", response_format={"type": "json_object"})
    assert json.loads(message_of(free)["content"]) == {"answer": "A soup, please"}
    # Where a program cannot send a schema, it writes it into the prompt.
    for prompt in [
        f"Return JSON for this schema: {json.dumps(SOUP)} and nothing else.",
        f'{{ Not JSON. {{"properties": 5}} ```json\n{json.dumps(SOUP, indent=2)}\n```',
    ]:
        with case(prompt):
            messages = [{"role": "system", "content": prompt}, user("A soup, please")]
            described = ask(
                http, emulator, messages=messages, response_format={"type": "json_object"}
            )
            Draft202012Validator(SOUP).validate(json.loads(message_of(described)["content"]))
    many = ask(http, emulator, "{" * 500, response_format={"type": "json_object"})
    assert json.loads(message_of(many)["content"])["answer"] == "{" * 280
    text = ask(http, emulator, "A soup, please", response_format={"type": "text"})
    assert "A soup, please" in message_of(text)["content"]


@pytest.mark.requirement("E3", "O14")
def test_thoughts_come_first_if_asked_for(emulator: Emulator, http: requests.Session) -> None:
    for options in [
        {"reasoning": {"effort": "high"}},
        {"reasoning": {"max_tokens": 100}},
        {"reasoning": {"enabled": True}},
        {"reasoning_effort": "low"},
        {"include_reasoning": True},
        {"model": "deepseek/deepseek-r1"},
        {"model": "anthropic/claude-sonnet-4.5:thinking"},
    ]:
        with case(options):
            answer = ask(http, emulator, **options)
            assert_documented(answer, "/chat/completions", "post", 200)
            thoughts = message_of(answer)["reasoning"]
            assert "“Hello!”" in thoughts
            (detail,) = message_of(answer)["reasoning_details"]
            assert (detail["type"], detail["text"]) == ("reasoning.text", thoughts)
            details = answer["usage"]["completion_tokens_details"]
            assert details["reasoning_tokens"] > 5
            chunks = stream(http, emulator, **options)
            assert "".join(deltas(chunks, "reasoning")) == thoughts
            assert "".join(deltas(chunks, "content")) == message_of(answer)["content"]
            kinds = [next(k for k in ("reasoning", "content") if d.get(k)) for d in _full(chunks)]
            assert kinds == sorted(kinds, reverse=True)


def _full(chunks: list[Any]) -> list[Any]:
    found = [choice["delta"] for chunk in chunks for choice in chunk["choices"]]
    return [delta for delta in found if delta.get("reasoning") or delta["content"]]


@pytest.mark.requirement("E3")
def test_thoughts_can_be_hidden_or_left_out(emulator: Emulator, http: requests.Session) -> None:
    for options, reasons in [
        ({}, False),
        ({"reasoning": {"effort": "none"}}, False),
        ({"reasoning": {"enabled": False}}, False),
        ({"reasoning_effort": "none"}, False),
        ({"include_reasoning": False}, False),
        ({"reasoning": {"effort": "high", "exclude": True}}, True),
        ({"model": "deepseek/deepseek-r1", "include_reasoning": False}, True),
    ]:
        with case(options):
            answer = ask(http, emulator, **options)
            assert "reasoning" not in message_of(answer)
            details = answer["usage"]["completion_tokens_details"]
            assert (details["reasoning_tokens"] > 0) == reasons
            assert deltas(stream(http, emulator, **options), "reasoning") == []
    refused = {"model": "deepseek/deepseek-r1", "messages": [user("Hello!")]}
    for options in [{"reasoning": {"effort": "none"}}, {"reasoning": {"enabled": False}}]:
        response = post(
            http, emulator, "/chat/completions", emulator.issue_key(), **refused, **options
        )
        assert error_of(response)[0] == 400
        assert "mandatory" in error_of(response)[1]


@pytest.mark.requirement("E3", "O14")
def test_thoughts_can_use_up_all_tokens(emulator: Emulator, http: requests.Session) -> None:
    answer = ask(http, emulator, reasoning={"effort": "high"}, max_tokens=5)
    assert answer["choices"][0]["finish_reason"] == "length"
    assert message_of(answer)["content"] == ""
    assert message_of(answer)["reasoning"]
    assert answer["usage"]["completion_tokens"] == 5
    assert answer["usage"]["cost"] > 0


@pytest.mark.requirement("E3")
def test_max_tokens_cuts_calls_and_json(emulator: Emulator, http: requests.Session) -> None:
    cut = ask(http, emulator, "The weather?", tools=[WEATHER], max_tokens=1)
    assert cut["choices"][0]["finish_reason"] == "length"
    (call,) = message_of(cut)["tool_calls"]
    assert call["function"]["arguments"] == '{"city":'
    none = ask(
        http, emulator, "Weather?", tools=[WEATHER], max_tokens=1, reasoning={"effort": "high"}
    )
    assert "tool_calls" not in message_of(none)
    short = ask(http, emulator, response_format=AS_SOUP, max_tokens=1)
    assert short["choices"][0]["finish_reason"] == "length"


@pytest.mark.requirement("E3")
def test_an_answer_ends_before_a_stop_text(emulator: Emulator, http: requests.Session) -> None:
    whole = message_of(ask(http, emulator, "What is Flask?"))["content"]
    for stop, kept in [
        ("asked", whole.partition("asked")[0]),
        (["look", "asked"], whole.partition("asked")[0]),
        ("Good", ""),
        (["nowhere in it", ""], whole),
        ([], whole),
        (None, whole),
    ]:
        with case(stop):
            answer = ask(http, emulator, "What is Flask?", stop=stop)
            assert message_of(answer)["content"] == kept
            assert answer["choices"][0]["finish_reason"] == "stop"


@pytest.mark.requirement("E3")
def test_a_picture_comes_with_the_text(emulator: Emulator, http: requests.Session) -> None:
    options: dict[str, Any] = {
        "model": "google/gemini-2.5-flash-image",
        "modalities": ["image", "text"],
    }
    answer = ask(http, emulator, "Draw a soup", **options)
    assert_documented(answer, "/chat/completions", "post", 200)
    (picture,) = message_of(answer)["images"]
    head, _, data = picture["image_url"]["url"].partition(",")
    assert head == "data:image/png;base64"
    assert base64.b64decode(data).startswith(b"\x89PNG\r\n\x1a\n")
    assert answer["usage"]["completion_tokens"] > 1000
    ((streamed,),) = deltas(stream(http, emulator, "Draw a soup", **options), "images")
    assert streamed == picture
    other = ask(http, emulator, "Draw a pie", **options)
    assert message_of(other)["images"] != [picture]
    assert "images" not in message_of(ask(http, emulator, "Draw", model=options["model"]))
    assert "images" not in message_of(ask(http, emulator, "Draw", max_tokens=2, **options))


@pytest.mark.requirement("E3", "O25")
def test_a_search_adds_a_source_and_its_price(emulator: Emulator, http: requests.Session) -> None:
    plain = ask(http, emulator, "Who?", model="openai/gpt-4o")
    for options in [
        {"model": "openai/gpt-4o:online"},
        {"model": "openai/gpt-4o", "plugins": [{"id": "web"}]},
        {"model": "openai/gpt-4o", "tools": [{"type": "openrouter:web_search"}]},
    ]:
        with case(options):
            answer = ask(http, emulator, "Who?", **options)
            assert_documented(answer, "/chat/completions", "post", 200)
            (source,) = message_of(answer)["annotations"]
            assert source["type"] == "url_citation"
            cited = source["url_citation"]
            assert cited["end_index"] == len(message_of(answer)["content"])
            price = answer["usage"]["cost"] - plain["usage"]["cost"]
            assert price == pytest.approx(0.02)
            chunks = stream(http, emulator, "Who?", **options)
            assert deltas(chunks, "annotations") == [[source]]


@pytest.mark.requirement("E3", "O25")
def test_the_usage_chunk_can_be_without_choice_and_cost(
    emulator: Emulator, http: requests.Session
) -> None:
    last = stream(http, emulator)[-1]
    assert last["choices"][0]["finish_reason"] == "stop"
    assert last["usage"]["cost"] > 0
    with emulator.configured(usage_choice=False, usage_cost=False):
        last = stream(http, emulator)[-1]
        assert last["choices"] == []
        assert last["usage"]["total_tokens"] > 0
        assert "cost" not in last["usage"]
        assert_schema(last, "ChatStreamChunk")


@pytest.mark.requirement("E3")
def test_malformed_wishes_are_refused(emulator: Emulator, http: requests.Session) -> None:
    for options in [
        {"tools": {}},
        {"tools": ["get_weather"]},
        {"tools": [{"function": {"name": "x"}}]},
        {"tools": [{"type": "function"}]},
        {"tools": [{"type": "function", "function": {"name": ""}}]},
        {"tool_choice": "maybe"},
        {"tool_choice": 5},
        {"tool_choice": {"type": "function"}},
        {"response_format": "json"},
        {"response_format": {"type": "json_schema"}},
        {"response_format": {"type": "json_schema", "json_schema": {"name": "x"}}},
        {"reasoning": "high"},
        {"modalities": "image"},
        {"plugins": "web"},
        {"stop": 5},
        {"stop": [5]},
    ]:
        with case(options):
            body = {"messages": [user("Hello!")], **options}
            response = post(http, emulator, "/chat/completions", emulator.issue_key(), **body)
            assert error_of(response)[0] == 400


def test_a_conversation_longer_than_the_context_is_refused(
    emulator: Emulator, http: requests.Session
) -> None:
    body = {"model": "google/gemini-2.5-flash-image", "messages": [user("x" * 140_000)]}
    response = post(http, emulator, "/chat/completions", emulator.issue_key(), **body)
    assert error_of(response)[0] == 400
    assert "maximum context length is 32768 tokens" in error_of(response)[1]
