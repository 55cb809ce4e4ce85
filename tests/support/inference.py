"""Requests for answers of the emulator, and their streams taken apart."""

from __future__ import annotations

import json
from typing import Any

import requests
from protocol_steps import bearer

from flask_openrouter.emulator import Emulator

MODEL = "openai/gpt-4o-mini"
WEATHER: dict[str, Any] = {
    "type": "function",
    "function": {
        "name": "get_weather",
        "parameters": {
            "type": "object",
            "properties": {"city": {"type": "string"}, "unit": {"enum": ["celsius", "kelvin"]}},
            "required": ["city", "unit"],
        },
    },
}
TIME: dict[str, Any] = {"type": "function", "function": {"name": "getTime"}}


def user(text: Any) -> dict[str, Any]:
    return {"role": "user", "content": text}


def post(
    http: requests.Session, emulator: Emulator, path: str, api_key: str, **body: Any
) -> requests.Response:
    """Ask for something below ``/api/v1``; members that are ``...`` are left out."""
    body = {name: value for name, value in body.items() if value is not ...}
    url = f"{emulator.url}/api/v1{path}"
    return http.post(url, json=body, headers=bearer(api_key))


def ask(http: requests.Session, emulator: Emulator, text: Any = "Hello!", **body: Any) -> Any:
    """Ask one question in a chat with a new key. Return the body of the answer."""
    body = {"model": MODEL, "messages": [user(text)], **body}
    response = post(http, emulator, "/chat/completions", emulator.issue_key(), **body)
    assert response.status_code == 200, response.text
    return response.json()


def stream(http: requests.Session, emulator: Emulator, text: Any = "Hello!", **body: Any) -> Any:
    """Ask one question in a chat. Return the chunks of its stream."""
    body = {"model": MODEL, "messages": [user(text)], "stream": True, **body}
    response = post(http, emulator, "/chat/completions", emulator.issue_key(), **body)
    *chunks, done = events(response)
    assert done == "[DONE]"
    return chunks


def events(response: requests.Response) -> list[Any]:
    """Return the data of the events, without comments and names."""
    lines = response.content.decode().split("\n")
    data = [line.removeprefix("data: ") for line in lines if line.startswith("data: ")]
    return [item if item == "[DONE]" else json.loads(item) for item in data]


def deltas(chunks: list[Any], member: str) -> list[Any]:
    """Return the values of this member in all deltas."""
    found = (choice["delta"].get(member) for chunk in chunks for choice in chunk["choices"])
    return [value for value in found if value]


def get(
    http: requests.Session, emulator: Emulator, path: str, api_key: str | None = None
) -> requests.Response:
    """Get something below ``/api/v1``, with a key or without."""
    headers = {} if api_key is None else bearer(api_key)
    return http.get(f"{emulator.url}/api/v1{path}", headers=headers)


def usage_of(http: requests.Session, emulator: Emulator, api_key: str) -> float:
    usage: float = get(http, emulator, "/key", api_key).json()["data"]["usage"]
    return usage
