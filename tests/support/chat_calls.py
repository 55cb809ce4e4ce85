"""Chat requests to the emulator by plain HTTP, and the events of their answers."""

from __future__ import annotations

import json
from typing import Any

import requests
from polling import PATIENCE
from protocol_steps import bearer

from flask_openrouter.emulator import Emulator

QUESTION = [{"role": "user", "content": "What is Flask?"}]


def chat(http: requests.Session, emulator: Emulator, **body: Any) -> requests.Response:
    """Ask with a new key."""
    return http.post(
        f"{emulator.url}/api/v1/chat/completions",
        json={"messages": QUESTION, **body},
        headers=bearer(emulator.issue_key()),
        timeout=PATIENCE,
    )


def answer(http: requests.Session, emulator: Emulator, **body: Any) -> dict[str, Any]:
    """Return the JSON of a plain answer with status 200."""
    response = chat(http, emulator, **body)
    assert response.status_code == 200
    assert response.headers["Content-Type"] == "application/json"
    found: dict[str, Any] = response.json()
    return found


def raw_stream(http: requests.Session, emulator: Emulator) -> bytes:
    """Return the bytes of a streamed answer with status 200."""
    response = chat(http, emulator, stream=True)
    assert response.status_code == 200
    assert response.headers["Content-Type"] == "text/event-stream; charset=utf-8"
    return response.content


def chunks_in(raw: bytes) -> list[dict[str, Any]]:
    """Return the chunks of a stream, read as the standard of server-sent events says."""
    found = []
    for event in raw.removeprefix(b"\xef\xbb\xbf").decode().split("\n\n"):
        lines = [line[6:] for line in event.split("\n") if line.startswith("data: ")]
        data = "\n".join(lines)
        if data and data != "[DONE]":
            found.append(json.loads(data))
    return found


def chunks(http: requests.Session, emulator: Emulator) -> list[dict[str, Any]]:
    """Return the chunks of a streamed answer."""
    return chunks_in(raw_stream(http, emulator))


def words_of(found: list[dict[str, Any]]) -> list[Any]:
    """Return the contents of the chunks' deltas that have one."""
    deltas = [chunk["choices"][0]["delta"] for chunk in found if chunk.get("choices")]
    return [delta["content"] for delta in deltas if delta.get("content")]
