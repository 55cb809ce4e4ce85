"""A strict comparison of requests and responses with OpenRouter's OpenAPI document.

Members that the document does not name are differences, too, although JSON Schema allows them.
"""

from __future__ import annotations

import copy
import json
import re
from collections.abc import Iterable, Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Any

from jsonschema import Draft202012Validator
from jsonschema.exceptions import ValidationError
from recorder import Exchange
from referencing import Registry
from referencing.jsonschema import DRAFT202012

_DOCUMENT = Path(__file__).parents[1] / "data" / "openrouter-openapi.json"
_URI = "urn:openrouter-openapi"
_ROOT = "/api/v1"
#: Headers that are about the API, not about HTTP.
_API_HEADERS = ("http-referer", "x-openrouter-")


@cache
def document() -> dict[str, Any]:
    """Return OpenRouter's document."""
    loaded: dict[str, Any] = json.loads(_DOCUMENT.read_text(encoding="utf-8"))
    return loaded


def operation(method: str, path: str) -> dict[str, Any] | None:
    """Return the documented operation, if there is one. ``path`` is below ``/api/v1``."""
    found: dict[str, Any] | None = document()["paths"].get(path, {}).get(method.lower())
    return found


def differences_in(exchanges: Iterable[Exchange]) -> dict[str, Exchange]:
    """Return each difference from the document, as a text with its place, and an example."""
    found: dict[str, Exchange] = {}
    for exchange in exchanges:
        for difference in _differences(exchange):
            found.setdefault(difference, exchange)
    return found


def _differences(exchange: Exchange) -> Iterator[str]:
    path = exchange.path.removeprefix(_ROOT)
    name = f"{exchange.method} {path}"
    described = operation(exchange.method, path)
    if described is None or not exchange.path.startswith(_ROOT):
        yield f"{name}: not an operation"
        return
    pointer = ["paths", path, exchange.method.lower()]
    yield from (f"{name}: {found}" for found in _request_differences(exchange, described, pointer))
    response = f"{name} {exchange.status}"
    content = described["responses"].get(str(exchange.status), {}).get("content", {})
    if exchange.media_type not in content:
        yield f"{response}: not a response"
        return
    pointer += ["responses", str(exchange.status), "content", exchange.media_type, "schema"]
    streamed = exchange.media_type == "text/event-stream"
    for value in exchange.answers():
        # The schema of a stream describes the event; this value is its data.
        wrapped = {"data": value} if streamed else value
        yield from (f"{response}: {found}" for found in _violations(wrapped, pointer))


def _request_differences(
    exchange: Exchange, described: Mapping[str, Any], pointer: list[str]
) -> Iterator[str]:
    parameters = [(p["in"], p["name"].lower()) for p in described.get("parameters", [])]
    for header in exchange.headers:
        if header.startswith(_API_HEADERS) and ("header", header) not in parameters:
            yield f"header {header}"
    for name in exchange.query:
        if ("query", name.lower()) not in parameters:
            yield f"query {name}"
    security = described.get("security", document()["security"])
    # Without credentials a 401 is the documented response, and no difference.
    if security and "authorization" not in exchange.headers and exchange.status != 401:
        yield "no credentials"
    body = described.get("requestBody")
    if body is not None and exchange.status < 400:
        schema = [*pointer, "requestBody", "content", "application/json", "schema"]
        yield from (f"body {found}" for found in _violations(json.loads(exchange.body), schema))


def _violations(value: Any, pointer: list[str]) -> Iterator[str]:
    steps = "/".join(step.replace("~", "~0").replace("/", "~1") for step in pointer)
    validator = Draft202012Validator(
        {"$ref": f"{_URI}#/{steps}"},
        registry=_strict_registry(),
        format_checker=Draft202012Validator.FORMAT_CHECKER,
    )
    for error in validator.iter_errors(value):
        yield from _in_words(error)


def _in_words(error: ValidationError) -> Iterator[str]:
    place = ".".join(str(step) for step in error.absolute_path)
    place = re.sub(r"\.?\b[0-9]+\b", "[]", place)
    if error.validator == "unevaluatedProperties":
        # The message names every member that is in no schema.
        for name in re.findall(r"'([^']+)'(?=[, ].*unexpected)", error.message):
            yield f"member {f'{place}.{name}'.lstrip('.')}"
    else:
        yield f"{place or 'value'}: {error.message}"


@cache
def _strict_registry() -> Registry[Any]:
    strict = copy.deepcopy(document())
    _close(strict)
    registry: Registry[Any] = Registry().with_resource(_URI, DRAFT202012.create_resource(strict))
    return registry


def _close(node: Any, *, is_part: bool = False) -> None:
    """Forbid members that the document does not name, in every object."""
    if isinstance(node, list):
        for item in node:
            _close(item)
        return
    if not isinstance(node, dict):
        return
    if "properties" in node and "additionalProperties" not in node and not is_part:
        node["unevaluatedProperties"] = False
    for name, item in node.items():
        if name in ("example", "examples", "enum", "const", "default"):
            continue
        if name == "allOf":
            for part in item:
                _close(part, is_part=True)
        else:
            _close(item)
