"""A JSON Schema in the text of a conversation.

A model that lacks structured outputs gets the schema as text and ``response_format`` with
``json_object``: pydantic-ai, Instructor and the AI SDK do this.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Any, Final

from .prose import text_of

#: How many braces are tried as the beginning of a schema.
_MAX_TRIES: Final = 50
_decoder: Final = json.JSONDecoder()


def described_schema(messages: Iterable[Mapping[str, Any]]) -> dict[str, Any] | None:
    """Return the first JSON Schema of an object in the messages, or ``None``."""
    tries = 0
    for message in messages:
        text = text_of(message)
        start = text.find("{")
        while start >= 0 and tries < _MAX_TRIES:
            tries += 1
            value, end = _value_at(text, start)
            if _is_schema(value):
                return value  # type: ignore[no-any-return]
            start = text.find("{", end)
    return None


def _value_at(text: str, start: int) -> tuple[Any, int]:
    """Return the JSON value that begins here, and its end; ``None`` if there is none."""
    try:
        return _decoder.raw_decode(text, start)
    except (ValueError, RecursionError):
        return None, start + 1


def _is_schema(value: object) -> bool:
    if not isinstance(value, dict):
        return False
    if isinstance(value.get("properties"), dict):
        return bool(value.get("type", "object") == "object")
    has_definitions = isinstance(value.get("$defs"), dict)
    return has_definitions and isinstance(value.get("$ref"), str)
