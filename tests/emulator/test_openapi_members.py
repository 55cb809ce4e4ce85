"""Each member of a request with a value of each kind: accepted only if the document allows it."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from typing import Any

from jsonschema import Draft202012Validator

from flask_openrouter.emulator import create_emulator_app

_CALL = {"type": "function", "name": "f", "arguments": "{}", "parameters": {}}
_ANY_API: dict[str, Any] = {
    "model": "openai/gpt-4o-mini",
    "models": ["openai/gpt-4o-mini"],
    "stream": False,
    "plugins": [{"id": "web"}],
    "reasoning": {"effort": "low"},
}
_FORM = {"type": "json_schema", "name": "n", "schema": {}}
BODIES: dict[str, tuple[str, dict[str, Any]]] = {
    "ChatRequest": (
        "chat/completions",
        {
            **_ANY_API,
            "messages": [
                {"role": "user", "content": [{"type": "text", "text": "a"}]},
                {"role": "assistant", "content": None},
            ],
            "max_tokens": 5,
            "max_completion_tokens": 5,
            "stop": ["x"],
            "modalities": ["text"],
            "tools": [{"type": "function", "function": _CALL}, {"type": "other"}],
            "tool_choice": {"type": "function", "function": {"name": "f"}},
            "response_format": {"type": "json_schema", "json_schema": _FORM},
        },
    ),
    "CompletionRequest": (
        "completions",
        {**_ANY_API, "prompt": ["a"], "max_tokens": 5, "stop": "x"},
    ),
    "ResponsesRequest": (
        "responses",
        {
            **_ANY_API,
            "input": [
                {"type": "message", "role": "user", "content": [{"type": "x", "text": "a"}]},
                {**_CALL, "type": "function_call", "call_id": "c"},
                {"type": "function_call_output", "call_id": "c", "output": "x"},
                {"type": "reasoning"},
            ],
            "instructions": "x",
            "max_output_tokens": 5,
            "modalities": ["text"],
            "tools": [_CALL, {"type": "other"}],
            "tool_choice": _CALL,
            "text": {"format": _FORM},
        },
    ),
    "EmbeddingsRequest": (
        "embeddings",
        {
            "model": "openai/text-embedding-3-small",
            "input": ["a"],
            "dimensions": 8,
            "encoding_format": "float",
        },
    ),
}
VALUES: tuple[Any, ...] = (None, [], {}, 5, -1, 1.5, "", True, [None], [{}], {"type": []})


def places(value: Any, place: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    inner = value.items() if isinstance(value, dict) else enumerate(value)
    for name, each in inner:
        yield (*place, name)
        if isinstance(each, dict | list):
            yield from places(each, (*place, name))


def test_no_value_is_accepted_that_the_document_forbids() -> None:
    app = create_emulator_app()
    client = app.test_client()
    components = client.get("/openapi.json").json["components"]
    key = app.extensions["openrouter_emulator"].issue_key()
    headers = {"Authorization": f"Bearer {key}"}
    for name, (path, valid) in BODIES.items():
        reference = f"#/components/schemas/{name}"
        validator = Draft202012Validator({"$ref": reference, "components": components})
        assert client.post(f"/api/v1/{path}", json=valid, headers=headers).status_code == 200, name
        for *outer, last in places(valid):
            for value in VALUES:
                body = copy.deepcopy(valid)
                changed: Any = body
                for step in outer:
                    changed = changed[step]
                changed[last] = value
                response = client.post(f"/api/v1/{path}", json=body, headers=headers)
                context = (name, *outer, last, value)
                assert response.status_code in (200, 400, 404), context
                assert response.status_code != 200 or validator.is_valid(body), context
