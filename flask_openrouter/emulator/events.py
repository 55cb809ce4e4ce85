"""Server-sent events: how every stream is written."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any, Final

from flask import Response, jsonify

#: A comment, which OpenRouter sends while a model is silent.
PROCESSING: Final = b": OPENROUTER PROCESSING\n\n"
#: The last event of a stream.
DONE: Final = b"data: [DONE]\n\n"


def event(data: dict[str, Any], name: str | None = None) -> bytes:
    """Return one event with JSON data, and with a name if there is one."""
    head = "" if name is None else f"event: {name}\n"
    return f"{head}data: {json.dumps(data, ensure_ascii=False)}\n\n".encode("utf-8", "replace")


def answer_response(body: dict[str, Any] | Iterator[bytes], generation_id: str) -> Response:
    """Return a body, or a stream of events, with the id of its generation."""
    if isinstance(body, dict):
        response = jsonify(body)
    else:
        response = Response(body, mimetype="text/event-stream")
    response.headers["X-Generation-Id"] = generation_id
    return response
