"""``json_object``: a schema in the messages is followed, as a model would."""

from __future__ import annotations

import json
from typing import Any

import jsonschema
import pytest
import requests
from cases import case
from inference import MODEL, ask, post, stream, user

from flask_openrouter.emulator import Emulator

SOUP: dict[str, Any] = {
    "type": "object",
    "properties": {
        "name": {"type": "string"},
        "hours": {"type": "integer", "minimum": 2},
        "tags": {"type": "array", "items": {"type": "string"}, "minItems": 1},
    },
    "required": ["name", "hours", "tags"],
    "additionalProperties": False,
}
JSON_OBJECT = {"type": "json_object"}
INSTRUCTION = f"Answer with JSON of this schema:\n\n```json\n{json.dumps(SOUP, indent=2)}\n```\n"


def answer(http: requests.Session, emulator: Emulator, messages: list[dict[str, Any]]) -> Any:
    body = ask(http, emulator, messages=messages, response_format=JSON_OBJECT)
    return json.loads(body["choices"][0]["message"]["content"])


@pytest.mark.requirement("E3")
def test_a_schema_in_the_messages_is_followed(emulator: Emulator, http: requests.Session) -> None:
    system = {"role": "system", "content": INSTRUCTION}
    for messages in [
        [system, user("A soup, please")],
        [{**system, "role": "developer"}, user("A soup, please")],
        [user(INSTRUCTION)],
        [user([{"type": "text", "text": INSTRUCTION}])],
        [user('I like {braces}, {} and {"a": {"b": 1}}.'), system],
        [system, user("Soup"), {"role": "assistant", "content": '{"answer": 1}'}, user("No.")],
    ]:
        with case(messages):
            jsonschema.validate(answer(http, emulator, messages), SOUP)


@pytest.mark.requirement("E3")
def test_a_schema_by_reference_is_followed(emulator: Emulator, http: requests.Session) -> None:
    schema = {"$defs": {"Soup": SOUP}, "$ref": "#/$defs/Soup"}
    jsonschema.validate(answer(http, emulator, [user(f"Fit {json.dumps(schema)}!")]), SOUP)


@pytest.mark.requirement("E3")
def test_a_stream_and_a_response_follow_it_too(emulator: Emulator, http: requests.Session) -> None:
    chunks = stream(http, emulator, INSTRUCTION, response_format=JSON_OBJECT)
    text = "".join(chunk["choices"][0]["delta"]["content"] for chunk in chunks)
    jsonschema.validate(json.loads(text), SOUP)
    body = {"model": MODEL, "input": INSTRUCTION, "text": {"format": JSON_OBJECT}}
    response = post(http, emulator, "/responses", emulator.issue_key(), **body).json()
    jsonschema.validate(json.loads(response["output"][0]["content"][0]["text"]), SOUP)


@pytest.mark.requirement("E3")
def test_other_json_in_the_messages_is_no_schema(
    emulator: Emulator, http: requests.Session
) -> None:
    for text in [
        "A soup as JSON, please",
        "{",
        "{" * 20_000,
        "[" * 20_000 + "{" * 20_000,
        '{"a":' * 20_000,
        json.dumps({"type": "array", "properties": {}}),
        json.dumps({"properties": ["name"]}),
        json.dumps({"$defs": {}}),
        "{ " * 60 + json.dumps(SOUP),
    ]:
        with case(text[:60]):
            assert list(answer(http, emulator, [user(text)])) == ["answer"]


def test_without_json_object_the_schema_is_a_text(
    emulator: Emulator, http: requests.Session
) -> None:
    content = ask(http, emulator, INSTRUCTION)["choices"][0]["message"]["content"]
    with pytest.raises(ValueError, match="Expecting value"):
        json.loads(content)
