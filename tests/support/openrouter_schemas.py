"""Checks of the emulator's responses against OpenRouter's own OpenAPI document."""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path
from typing import Any

from jsonschema import Draft202012Validator
from referencing import Registry
from referencing.jsonschema import DRAFT202012

_DOCUMENT = Path(__file__).parents[1] / "data" / "openrouter-openapi.json"
_URI = "urn:openrouter-openapi"


@cache
def _registry() -> Registry[Any]:
    document = json.loads(_DOCUMENT.read_text(encoding="utf-8"))
    return Registry().with_resource(_URI, DRAFT202012.create_resource(document))


def assert_documented(
    response: Any, path: str, method: str, status: int, media_type: str = "application/json"
) -> None:
    """Fail unless ``answer`` is what OpenRouter documents for this operation and status."""
    steps = ["paths", path, method, "responses", str(status), "content", media_type, "schema"]
    _assert_valid(response, "/".join(step.replace("~", "~0").replace("/", "~1") for step in steps))


def assert_schema(value: Any, name: str) -> None:
    """Fail unless ``value`` is a documented object of this name."""
    _assert_valid(value, f"components/schemas/{name}")


def _assert_valid(value: Any, pointer: str) -> None:
    schema = {"$ref": f"{_URI}#/{pointer}"}
    Draft202012Validator(schema, registry=_registry()).validate(value)
