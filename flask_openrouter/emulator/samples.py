"""Samples: JSON values that a JSON Schema allows, for structured answers and tool calls.

They follow the keywords that OpenRouter's structured outputs and the common schema generators use.
``not``, ``if`` and ``dependentSchemas`` are ignored.

Source: JSON Schema 2020-12, and https://openrouter.ai/docs/guides/features/structured-outputs
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from typing import Any, Final

from .patterns import sample_of_pattern

#: Below this depth, and after this many values, optional members and array items are left out.
_FULL_DEPTH = 6
_FULL_COUNT = 300
_MAX_DEPTH = 40
_MAX_COUNT = 5_000
_MAX_TEXT = 280
#: Numbers beyond these are read as if they were not in the schema.
_MAX_NUMBER = 1e15
_LEAST_STEP = 1e-6
_FORMATS: Final = {
    "date": "2026-01-31",
    "date-time": "2026-01-31T12:00:00Z",
    "duration": "P1D",
    "email": "visitor@app.example",
    "hostname": "app.example",
    "ipv4": "192.0.2.1",
    "ipv6": "2001:db8::1",
    "time": "12:00:00Z",
    "uri": "https://app.example/",
    "url": "https://app.example/",
    "uuid": "12345678-1234-4234-8234-123456789012",
}
_ASKS = re.compile(r"(?:^|_)(?:query|question|prompt|text|message|input|answer|content|summary)$")
_NAME = re.compile(r"(?<=[a-z,] )[A-Z][\w-]+(?: [A-Z][\w-]+)*")


def sample_of(schema: object, text: str = "") -> Any:
    """Return a value that the schema allows.

    :param schema: a JSON Schema: an object, or true or false.
    :param text: what the visitor wrote. Strings quote from it.
    """
    return _Sampler(schema, text[:_MAX_TEXT]).sample(schema, "", 0)


class _Sampler:
    def __init__(self, root: object, text: str) -> None:
        self._root = root
        self._text = text
        self._count = 0

    def sample(self, schema: object, name: str, depth: int) -> Any:
        self._count += 1
        if self._count > _MAX_COUNT:
            return None
        if self._count > _FULL_COUNT:
            depth = max(depth, _FULL_DEPTH + 1)
        schema = self._resolved(schema, depth)
        if "const" in schema:
            return schema["const"]
        if _items(schema.get("enum")):
            return schema["enum"][0]
        for keyword in ("anyOf", "oneOf"):
            if branches := _items(schema.get(keyword)):
                rest = {key: value for key, value in schema.items() if key != keyword}
                return self.sample(_merged(rest, self._branch(branches, depth)), name, depth + 1)
        kind = _kind(schema, depth)
        if kind == "object":
            return self._object(schema, depth)
        if kind == "array":
            return self._array(schema, name, depth)
        if kind in ("integer", "number"):
            return _number(schema, kind)
        if kind == "boolean":
            return True
        return None if kind == "null" else self._string(schema, name)

    def _resolved(self, schema: object, depth: int) -> dict[str, Any]:
        """Return the schema with its reference and its ``allOf`` merged in."""
        if not isinstance(schema, Mapping) or depth > _MAX_DEPTH:
            return {}
        merged = dict(schema)
        for _ in range(_MAX_DEPTH):
            reference, parts = merged.pop("$ref", None), _items(merged.pop("allOf", None))
            if isinstance(reference, str):
                merged = _merged(merged, self._referenced(reference))
            elif not parts:
                break
            for part in parts:
                merged = _merged(merged, part)
        return merged

    def _referenced(self, reference: str) -> object:
        found: object = self._root
        for step in reference.removeprefix("#").split("/")[1:]:
            name = step.replace("~1", "/").replace("~0", "~")
            found = found.get(name) if isinstance(found, Mapping) else None
        return found

    def _branch(self, branches: Sequence[object], depth: int) -> object:
        """Return the first alternative; deep down, the one that ends soonest: null."""
        resolved = [self._resolved(branch, depth) for branch in branches]
        is_null = [branch.get("type") == "null" for branch in resolved]
        wanted = depth > _FULL_DEPTH
        return next(
            (b for b, null in zip(resolved, is_null, strict=True) if null == wanted), resolved[0]
        )

    def _object(self, schema: Mapping[str, Any], depth: int) -> dict[str, Any]:
        described, required = schema.get("properties"), _items(schema.get("required"))
        properties = described if isinstance(described, Mapping) else {}
        value = {
            name: self.sample(inner, name, depth + 1)
            for name, inner in properties.items()
            if name in required or depth < _FULL_DEPTH
        }
        for name in required:
            if isinstance(name, str) and name not in value:
                value[name] = self.sample(schema.get("additionalProperties"), name, depth + 1)
        for number in range(_whole(schema.get("minProperties")) - len(value)):
            name = f"key_{number + 1}"
            value[name] = self.sample(schema.get("additionalProperties"), name, depth + 1)
        return value

    def _array(self, schema: Mapping[str, Any], name: str, depth: int) -> list[Any]:
        first = _items(schema.get("prefixItems"))
        least = _whole(schema.get("minItems"))
        wanted = max(least, len(first) or int(depth < _FULL_DEPTH))
        count = min(wanted, _whole(schema.get("maxItems"), default=wanted))
        value: list[Any] = []
        for index in range(count):
            inner = first[index] if index < len(first) else schema.get("items")
            item = self.sample(inner, name, depth + 1)
            if schema.get("uniqueItems") is True and item in value:
                item = self._another(inner, item, value)
            value.append(item)
        return value

    def _another(self, schema: object, item: Any, taken: list[Any]) -> Any:
        """Return another value that the schema allows, for an array of unique items."""
        allowed = _items(self._resolved(schema, 0).get("enum"))
        if isinstance(item, bool):
            allowed = [False]
        others = [other for other in allowed if other not in taken]
        if others:
            return others[0]
        numbers = [other for other in taken if isinstance(other, (int, float))]
        if isinstance(item, (int, float)):
            return max(numbers) + 1
        return f"{item} {len(taken) + 1}" if isinstance(item, str) else item

    def _string(self, schema: Mapping[str, Any], name: str) -> str:
        pattern, least = schema.get("pattern"), _whole(schema.get("minLength"))
        if isinstance(pattern, str) and (sampled := sample_of_pattern(pattern, least)) is not None:
            return sampled
        text = _FORMATS.get(str(schema.get("format"))) or self._quoted(name)
        most = _whole(schema.get("maxLength"), default=max(len(text), least))
        return text.ljust(least, ".")[:most]

    def _quoted(self, name: str) -> str:
        """Return what the visitor wrote, a name from it, or the name of the member."""
        if self._text and (_ASKS.search(name.lower()) or not name):
            return self._text
        names = _NAME.findall(self._text)
        return names[-1] if names else f"emulated {name.replace('_', ' ')}".strip()


def _merged(schema: Mapping[str, Any], other: object) -> dict[str, Any]:
    """Return the members of both; where both have properties or requirements, all of them."""
    if not isinstance(other, Mapping):
        return dict(schema)
    merged = {**other, **schema}
    if isinstance(schema.get("properties"), Mapping) and isinstance(
        other.get("properties"), Mapping
    ):
        merged["properties"] = {**other["properties"], **schema["properties"]}
    required = [*_items(schema.get("required")), *_items(other.get("required"))]
    return {**merged, "required": required} if required else merged


def _kind(schema: Mapping[str, Any], depth: int) -> str:
    kinds = [kind for kind in _items(schema.get("type")) if isinstance(kind, str)]
    if kinds:
        is_deep = depth > _FULL_DEPTH and "null" in kinds
        return "null" if is_deep else next((k for k in kinds if k != "null"), "null")
    kind = schema.get("type")
    if isinstance(kind, str):
        return kind
    for keyword, implied in (
        ("properties", "object"),
        ("required", "object"),
        ("items", "array"),
        ("prefixItems", "array"),
        ("minimum", "number"),
        ("maximum", "number"),
    ):
        if keyword in schema:
            return implied
    return "string"


def _number(schema: Mapping[str, Any], kind: str) -> int | float:
    """Return the first of some likely numbers that all keywords allow."""
    low, high, over, under, step = (
        _real(schema.get(keyword))
        for keyword in ("minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf")
    )
    if step is None or abs(step) < _LEAST_STEP:
        step = 1 if kind == "integer" else None
    bounds = [bound for bound in (low, high, over, under) if bound is not None]
    likely = [1, *bounds, *(bound + 1 for bound in bounds), *(bound - 1 for bound in bounds)]
    likely.append(sum(bounds) / max(len(bounds), 1))
    if step:
        likely = [
            times * step for n in likely for times in (math.floor(n / step), math.ceil(n / step))
        ]
    for number in likely:
        if (
            (low is None or number >= low)
            and (high is None or number <= high)
            and (over is None or number > over)
            and (under is None or number < under)
        ):
            return int(number) if kind == "integer" else number
    return likely[0]


def _real(value: object) -> float | None:
    if not isinstance(value, (int, float)) or isinstance(value, bool):
        return None
    return value if abs(value) <= _MAX_NUMBER else None


def _whole(value: object, *, default: int = 0) -> int:
    """Return a length or a count of a schema; no more than an answer has space for."""
    return min(value, 1_000) if type(value) is int and value >= 0 else default


def _items(value: object) -> list[Any]:
    return value if isinstance(value, list) else []
