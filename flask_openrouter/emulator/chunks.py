"""The chunks of a streamed chat answer: read from server-sent events, changed, and written."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

#: An event of a stream: the JSON of a ``data:`` line, or bytes that are sent unchanged.
Event = dict[str, Any] | bytes
Events = Iterator[Event]

_SURROGATE = re.compile("[\ud800-\udfff]")


def read_events(parts: Iterable[bytes]) -> Events:
    """Yield the events of a stream."""
    rest = b""
    for part in parts:
        *events, rest = (rest + part).split(b"\n\n")
        for event in events:
            is_chunk = event.startswith(b"data: {")
            yield json.loads(event[len(b"data: ") :]) if is_chunk else event + b"\n\n"


def write_event(event: Event) -> bytes:
    """Return an event as it is sent."""
    return event if isinstance(event, bytes) else f"data: {to_json(event)}\n\n".encode()


def to_json(value: object) -> str:
    """Return JSON as JavaScript writes it: it escapes only half a surrogate pair."""
    text = json.dumps(value, ensure_ascii=False)
    return _SURROGATE.sub(lambda match: f"\\u{ord(match[0]):04x}", text)


def choice_of(event: Event) -> dict[str, Any]:
    """Return the choice of a chunk; anything else has an empty one."""
    choices = event.get("choices") if isinstance(event, dict) else None
    return choices[0] if choices else {}


def content_of(event: Event) -> Any:
    """Return the content of a chunk's delta, or ``None``."""
    return (choice_of(event).get("delta") or {}).get("content")


def is_end(event: Event) -> bool:
    """Whether this chunk says why the answer ends."""
    return choice_of(event).get("finish_reason") is not None


def with_choice(chunk: dict[str, Any], **members: Any) -> dict[str, Any]:
    """Return the chunk, or the whole answer, with these members of its choice changed."""
    return {**chunk, "choices": [{**choice_of(chunk), **members}]}


def with_delta(chunk: dict[str, Any], **members: Any) -> dict[str, Any]:
    """Return the chunk with these members of its delta changed."""
    return with_choice(chunk, delta={**(choice_of(chunk).get("delta") or {}), **members})


def with_message(answer: dict[str, Any], **members: Any) -> dict[str, Any]:
    """Return the whole answer with these members of its message changed."""
    return with_choice(answer, message={**choice_of(answer)["message"], **members})


def with_finish(
    chunk: dict[str, Any], finish_reason: str, native: str | None = None
) -> dict[str, Any]:
    """Return the chunk, or the whole answer, with this reason for its end."""
    return with_choice(
        chunk, finish_reason=finish_reason, native_finish_reason=native or finish_reason
    )


def before(chunk: dict[str, Any], **delta: Any) -> dict[str, Any]:
    """Return a chunk that may precede this one, with this delta."""
    header = {name: value for name, value in chunk.items() if name != "usage"}
    delta = {"role": "assistant", **delta}
    return {**header, "choices": [{"index": 0, "delta": delta, "finish_reason": None}]}


def over_two_lines(chunk: Mapping[str, Any]) -> bytes:
    """Return the event with its JSON spread over two ``data:`` lines, between two members."""
    first, *others = chunk.items()
    head, tail = to_json(dict([first]))[:-1], to_json(dict(others))[1:]
    return f"data: {head},\ndata: {tail}\n\n".encode()
