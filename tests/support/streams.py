"""Answers of a model as OpenRouter sends them, streamed and whole."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any

from flask_openrouter.client import Completion, read_stream
from flask_openrouter.client.event_filter import EventFilter
from flask_openrouter.client.events import EventReader, ServerSentEvent
from flask_openrouter.client.responses import error_in_event
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


def filtered(
    blocks: Iterable[bytes], *, has_end: bool = False
) -> tuple[list[ServerSentEvent], OpenRouterError | None]:
    """Return the events that the filter in front of other packages passes on, and its error."""
    sieve, passed = EventFilter(error_in_event, lambda error, _: error, has_end=has_end), b""
    try:
        for block in blocks:
            for event in sieve.read(block):
                passed += event
        for event in sieve.last():
            passed += event
    except OpenRouterError as error:
        return list(EventReader().read(passed)), error
    return list(EventReader().read(passed)), None


def check_filter(stream: bytes) -> None:
    """Check what holds of any stream of events: what passes the filter is JSON."""
    events, error = filtered([stream])
    assert all(event.is_done or event.parsed() is not None for event in events)
    for size in (1, 3):
        others, other = filtered(stream[i : i + size] for i in range(0, len(stream), size))
        assert others == events
        assert type(other) is type(error)


def check_any(stream: bytes) -> None:
    """Check what holds of any stream: its texts are clean, and its blocks do not matter."""
    check_filter(stream)
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
