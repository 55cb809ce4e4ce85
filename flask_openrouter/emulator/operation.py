"""The parts of an operation in the OpenAPI document."""

from __future__ import annotations

from typing import Any, Final

from .errors import MESSAGES
from .schemas import TEXT, Schema, ref

#: One operation, or another part of the document.
Part = dict[str, Any]

BODY_TOO_LARGE: Final = 413
#: The ``security`` of an operation that needs no key.
NO_KEY: Final[list[Part]] = []
#: The headers by which an app names itself.
APP: Final[list[dict[str, Any]]] = [
    {"name": name, "in": "header", "schema": TEXT, "description": f"Of the asking app: its {what}"}
    for name, what in (
        ("HTTP-Referer", "address"),
        ("X-OpenRouter-Title", "name"),
        ("X-OpenRouter-Categories", "categories"),
    )
]


def operation(
    summary: str,
    successes: dict[int, Part],
    *errors: int,
    body: Part | None = None,
    parameters: list[Part] | None = None,
    security: list[Part] | None = None,
) -> Part:
    """Return an operation. Without ``security`` it needs a key."""
    responses = successes | {status: json_of("Error", MESSAGES[status]) for status in errors}
    operation: Part = {
        "summary": summary,
        "responses": {str(status): responses[status] for status in sorted(responses)},
    }
    if parameters is not None:
        operation["parameters"] = parameters
    if body is not None:
        operation["requestBody"] = {"required": True, **body}
    if security is not None:
        operation["security"] = security
    return operation


def body_of(name: str) -> Part:
    """Return a request body of this schema, as JSON."""
    return content("application/json", ref(name))


def json_of(name: str, description: str = "OK") -> Part:
    """Return a response of this schema, as JSON."""
    return {"description": description, **content("application/json", ref(name))}


def html_page(description: str) -> Part:
    """Return a response that is a page."""
    return {"description": description, **content("text/html", TEXT)}


def content(media_type: str, schema: Schema) -> Part:
    """Return the ``content`` member of a body or a response."""
    return {"content": {media_type: {"schema": schema}}}
