"""``POST /api/v1/responses``: output items, events, refusals."""

from __future__ import annotations

import json
from typing import Any

import pytest
import requests
from cases import case
from inference import WEATHER, events, get, post, usage_of
from protocol_steps import error_of

from flask_openrouter.emulator import Emulator

PATH = "/responses"
TOOL = {"type": "function", **WEATHER["function"]}
QUESTION: dict[str, Any] = {"model": "openai/gpt-4o", "input": "What is the weather in Paris?"}


def respond(http: requests.Session, emulator: Emulator, **body: Any) -> Any:
    response = post(http, emulator, PATH, emulator.issue_key(), **{**QUESTION, **body})
    assert response.status_code == 200, response.text
    assert response.headers["X-Generation-Id"] == response.json()["id"]
    return response.json()


def run(http: requests.Session, emulator: Emulator, **body: Any) -> list[Any]:
    """Return the events of a stream. Their names and numbers must be right."""
    body = {**QUESTION, "stream": True, **body}
    response = post(http, emulator, PATH, emulator.issue_key(), **body)
    found = [data for data in events(response) if data != "[DONE]"]
    names = [
        line.removeprefix("event: ")
        for line in response.content.decode().split("\n")
        if line.startswith("event: ")
    ]
    assert names == [data["type"] for data in found]
    assert [data["sequence_number"] for data in found] == list(range(len(found)))
    return found


def text_of(response: Any) -> str:
    (message,) = (item for item in response["output"] if item["type"] == "message")
    text: str = message["content"][0]["text"]
    return text


@pytest.mark.requirement("E2")
def test_a_response_has_the_answer_and_its_cost(emulator: Emulator, http: requests.Session) -> None:
    api_key = emulator.issue_key()
    response = post(http, emulator, PATH, api_key, **QUESTION).json()
    assert response["status"] == "completed"
    assert "“What is the weather in Paris?”" in text_of(response)
    usage = response["usage"]
    assert usage["total_tokens"] == usage["input_tokens"] + usage["output_tokens"]
    assert usage_of(http, emulator, api_key) == pytest.approx(usage["cost"])
    found = get(http, emulator, f"/generation?id={response['id']}", api_key).json()["data"]
    assert found["total_cost"] == usage["cost"]
    with emulator.configured(usage_cost=False):
        assert "cost" not in respond(http, emulator)["usage"]


@pytest.mark.requirement("E2")
def test_a_stream_builds_the_same_response(emulator: Emulator, http: requests.Session) -> None:
    for options in [
        {},
        {"reasoning": {"effort": "high"}},
        {"tools": [TOOL]},
        {"tools": [{"type": "web_search"}]},
        {"max_output_tokens": 4},
        {"modalities": ["image", "text"]},
        {"text": {"format": {"type": "json_object"}}},
    ]:
        with case(options):
            whole = respond(http, emulator, **options)
            found = run(http, emulator, **options)
            first, last = found[0], found[-1]
            assert (first["type"], first["response"]["status"]) == (
                "response.created",
                "in_progress",
            )
            assert first["response"]["output"] == []
            assert last["type"] == f"response.{whole['status']}"
            assert last["response"]["usage"] == whole["usage"]
            assert _without_ids(last["response"]["output"]) == _without_ids(whole["output"])
            done = [e["item"] for e in found if e["type"] == "response.output_item.done"]
            assert done == last["response"]["output"]


def _without_ids(items: list[Any]) -> list[Any]:
    return [{k: v for k, v in item.items() if k not in ("id", "call_id")} for item in items]


@pytest.mark.requirement("E2")
def test_the_parts_of_a_stream_join_to_the_whole(
    emulator: Emulator, http: requests.Session
) -> None:
    for options, delta, done, member in [
        ({}, "response.output_text.delta", "response.output_text.done", "text"),
        (
            {"reasoning": {"effort": "low"}},
            "response.reasoning_summary_text.delta",
            "response.reasoning_summary_text.done",
            "text",
        ),
        (
            {"tools": [TOOL]},
            "response.function_call_arguments.delta",
            "response.function_call_arguments.done",
            "arguments",
        ),
    ]:
        with case(delta):
            found = run(http, emulator, **options)
            deltas = [event["delta"] for event in found if event["type"] == delta]
            (end,) = (event for event in found if event["type"] == done)
            assert len(deltas) > 2
            assert "".join(deltas) == end[member]
            added = next(e for e in found if e["type"] == "response.output_item.added")
            assert end["item_id"] == added["item"]["id"]
            assert end["output_index"] == added["output_index"]


@pytest.mark.requirement("E2", "E3")
def test_a_tool_is_called_and_its_output_answered(
    emulator: Emulator, http: requests.Session
) -> None:
    first = respond(http, emulator, tools=[TOOL], tool_choice={"type": "function", "name": "x"})
    (call,) = first["output"]
    assert call["type"] == "function_call"
    assert json.loads(call["arguments"])["city"] == "Paris"
    (echoed,) = first["tools"]
    assert echoed["name"] == "get_weather"
    items = [
        {"role": "user", "content": [{"type": "input_text", "text": "What is the weather?"}]},
        {"type": "reasoning", "id": "rs_1", "summary": []},
        call,
        {"type": "function_call_output", "call_id": call["call_id"], "output": "18 °C"},
    ]
    second = respond(http, emulator, input=items, tools=[TOOL])
    assert "18 °C" in text_of(second)
    chosen = respond(http, emulator, tools=[TOOL], tool_choice="none")
    assert [item["type"] for item in chosen["output"]] == ["message"]


@pytest.mark.requirement("E2", "E3")
def test_a_structured_answer_fits_its_schema(emulator: Emulator, http: requests.Session) -> None:
    schema = {"type": "object", "properties": {"city": {"const": "Rome"}}, "required": ["city"]}
    form = {"type": "json_schema", "name": "place", "strict": True, "schema": schema}
    assert json.loads(text_of(respond(http, emulator, text={"format": form}))) == {"city": "Rome"}


@pytest.mark.requirement("E2", "E3")
def test_thoughts_sources_and_pictures_are_items(
    emulator: Emulator, http: requests.Session
) -> None:
    thoughtful = respond(http, emulator, reasoning={"effort": "high", "summary": None})
    assert [item["type"] for item in thoughtful["output"]] == ["reasoning", "message"]
    assert thoughtful["usage"]["output_tokens_details"]["reasoning_tokens"] > 0
    for reasoning in [None, {"effort": None}, {"effort": "low", "exclude": True}]:
        with case(reasoning):
            plain = respond(http, emulator, reasoning=reasoning)
            assert [item["type"] for item in plain["output"]] == ["message"]
            streamed = run(http, emulator, reasoning=reasoning)[-1]["response"]["output"]
            assert [item["type"] for item in streamed] == ["message"]
    cited = respond(http, emulator, model="openai/gpt-4o:online")
    (note,) = cited["output"][0]["content"][0]["annotations"]
    assert note["type"] == "url_citation"
    drawn = respond(http, emulator, modalities=["image", "text"])["output"][-1]
    assert drawn["type"] == "image_generation_call"
    assert drawn["result"].startswith("iVBOR")


@pytest.mark.requirement("E2")
def test_an_answer_can_be_cut_short(emulator: Emulator, http: requests.Session) -> None:
    response = respond(http, emulator, max_output_tokens=3)
    assert response["status"] == "incomplete"
    assert response["incomplete_details"] == {"reason": "max_output_tokens"}
    assert response["output"][0]["status"] == "incomplete"
    assert response["usage"]["output_tokens"] == 3


@pytest.mark.requirement("E2")
def test_the_request_is_repeated_in_the_response(
    emulator: Emulator, http: requests.Session
) -> None:
    response = respond(
        http,
        emulator,
        instructions="Be brief.",
        temperature=0.5,
        top_p="x",
        metadata={"a": "b"},
        parallel_tool_calls=False,
    )
    assert response["instructions"] == "Be brief."
    assert response["temperature"] == 0.5
    assert response["top_p"] is None
    assert response["metadata"] == {"a": "b"}
    assert response["parallel_tool_calls"] is False
    assert response["tool_choice"] == "auto"
    only_thoughts = respond(http, emulator, input=[{"type": "reasoning"}])
    assert "without words" in text_of(only_thoughts)


@pytest.mark.requirement("E2")
def test_a_fault_fails_the_response(emulator: Emulator, http: requests.Session) -> None:
    for status, code in [(429, "rate_limit_exceeded"), (502, "server_error")]:
        with case(status):
            with emulator.faults(status=status, mid_stream=True):
                last = run(http, emulator)[-1]
            assert last["type"] == "response.failed"
            assert last["response"]["status"] == "failed"
            assert last["response"]["error"]["code"] == code
            assert last["response"]["usage"]["cost"] > 0
            with emulator.faults(status=status, mid_stream=True):
                response = post(http, emulator, PATH, emulator.issue_key(), **QUESTION)
            assert error_of(response)[0] == status


@pytest.mark.requirement("E2")
def test_bad_requests_are_refused(emulator: Emulator, http: requests.Session) -> None:
    for body in [
        {"input": ...},
        {"input": []},
        {"input": 5},
        {"input": ["hi"]},
        {"input": [{"role": "pirate", "content": "hi"}]},
        {"input": [{"type": "function_call_output", "output": 5}]},
        {"input": [{"type": None, "role": "user", "content": "hi"}]},
        {"instructions": 5},
        {"model": "no/such"},
        {"max_output_tokens": 0},
        {"stream": "yes"},
        {"tools": {}},
        {"tools": [{"type": "function"}]},
        {"tool_choice": {"type": "function"}},
        {"text": "json"},
        {"text": {"format": "json"}},
        {"text": {"format": {"type": "json_schema"}}},
        {"reasoning": "high"},
    ]:
        with case(body):
            api_key = emulator.issue_key()
            response = post(http, emulator, PATH, api_key, **{**QUESTION, **body})
            assert error_of(response)[0] == 400
            assert usage_of(http, emulator, api_key) == 0
