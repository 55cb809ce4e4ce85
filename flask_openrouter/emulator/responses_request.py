"""A request for ``/api/v1/responses`` in the form of a chat request.

Source: https://openrouter.ai/docs/api-reference/responses
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from .errors import APIError

#: Members that mean the same in both APIs.
_SAME = (
    *("model", "models", "stream", "modalities", "plugins"),
    *("parallel_tool_calls", "reasoning_effort"),
)


def as_chat_request(body: Mapping[str, Any]) -> dict[str, Any]:
    """Return the chat request that asks for the same.

    Items that only another run of the same conversation could use, such as thoughts, are left out.

    :raises APIError: 400 if a member has the wrong type.
    """
    asked: dict[str, Any] = {name: body[name] for name in _SAME if name in body}
    asked["messages"] = [*_instructions(body), *_messages(body.get("input"))]
    asked["max_tokens"] = body.get("max_output_tokens")
    asked["tools"] = [_tool(tool) for tool in _list(body, "tools")]
    asked["tool_choice"] = _tool_choice(body.get("tool_choice"))
    asked["response_format"] = _response_format(body)
    reasoning = body.get("reasoning")
    if isinstance(reasoning, dict):
        # The OpenAI package sends members that are null.
        reasoning = {name: value for name, value in reasoning.items() if value is not None} or None
    asked["reasoning"] = reasoning
    return asked


def _instructions(body: Mapping[str, Any]) -> list[dict[str, Any]]:
    instructions = body.get("instructions")
    if not isinstance(instructions, (str, type(None))):
        raise APIError(400)
    return [{"role": "system", "content": instructions}] if instructions else []


def _messages(given: object) -> list[dict[str, Any]]:
    if isinstance(given, str):
        return [{"role": "user", "content": given}]
    if not isinstance(given, list) or not given:
        raise APIError(400, "Input required: specify input")
    messages = []
    for item in given:
        if not isinstance(item, dict) or not isinstance(item.get("type", "message"), str):
            raise APIError(400)
        kind = item.get("type", "message")
        if kind == "message":
            messages.append({"role": item.get("role"), "content": item.get("content")})
        elif kind == "function_call":
            messages.append({"role": "assistant", "content": None, "tool_calls": [_call(item)]})
        elif kind == "function_call_output":
            messages.append({"role": "tool", "content": item.get("output")})
    return messages or [{"role": "user", "content": ""}]


def _call(item: Mapping[str, Any]) -> dict[str, Any]:
    function = {"name": item.get("name"), "arguments": item.get("arguments")}
    return {"id": item.get("call_id"), "type": "function", "function": function}


def _tool(tool: object) -> object:
    if not isinstance(tool, dict) or tool.get("type") != "function":
        return tool
    return {
        "type": "function",
        "function": {"name": tool.get("name"), "parameters": tool.get("parameters")},
    }


def _tool_choice(choice: object) -> object:
    if isinstance(choice, dict) and choice.get("type") == "function":
        return {"type": "function", "function": {"name": choice.get("name")}}
    return choice


def _response_format(body: Mapping[str, Any]) -> object:
    chosen = body.get("text")
    if not isinstance(chosen, (dict, type(None))):
        raise APIError(400)
    form = (chosen or {}).get("format")
    if isinstance(form, dict) and form.get("type") == "json_schema":
        described = {name: value for name, value in form.items() if name != "type"}
        return {"type": "json_schema", "json_schema": described}
    return form


def _list(body: Mapping[str, Any], name: str) -> list[Any]:
    value = [] if body.get(name) is None else body[name]
    if not isinstance(value, list):
        raise APIError(400)
    return value
