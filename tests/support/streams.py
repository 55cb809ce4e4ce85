"""Answers of a model as OpenRouter sends them, streamed and whole."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any

from flask_openrouter.client import Completion, read_stream
from flask_openrouter.errors import OpenRouterError


def sse(*events: object) -> bytes:
    """Return a stream of these events. A text is written as it is."""
    return b"".join(
        b"data: %b\n\n" % (event if isinstance(event, str) else json.dumps(event)).encode()
        for event in events
    )


def delta(**members: object) -> dict[str, Any]:
    return {"choices": [{"index": 0, "delta": members}]}


def whole(message: object, **members: object) -> bytes:
    choice = {"index": 0, "finish_reason": "stop", "message": message}
    return json.dumps({"id": "gen-1", "choices": [choice], **members}).encode()


def finished(reason: str = "stop", **members: object) -> dict[str, Any]:
    return {"choices": [{"delta": {"content": ""}, "finish_reason": reason, **members}]}


def outcome(blocks: Iterable[bytes]) -> tuple[list[Completion], OpenRouterError | None]:
    """Return the parts of a stream that are not empty, and the error with which it ends."""
    stream, parts = read_stream(blocks), []
    try:
        for part in stream:
            if not part.is_empty:
                parts.append(part)
    except OpenRouterError as error:
        return parts, error
    return parts, None


def check_any(stream: bytes) -> None:
    """Check what holds of any stream: its texts are clean, and its blocks do not matter."""
    parts, error = outcome([stream])
    for size in (1, 3):
        blocks = (stream[i : i + size] for i in range(0, len(stream), size))
        others, other = outcome(blocks)
        assert others == parts
        assert type(other) is type(error)
    for part in parts:
        shown = (part.text, part.reasoning, part.refusal, *part.images, part.finish_reason or "")
        "".join(shown).encode()
        json.dumps(part.annotations, ensure_ascii=False).encode()
        assert part.usage is None or part.usage.cost is None or part.usage.cost >= 0
