"""The schemas of the OpenAPI document for the requests that a model answers."""

from __future__ import annotations

from typing import Final

from .embeddings import MAX_INPUTS
from .question import ROLES, TOOL_CHOICES
from .schemas import (
    FLAG,
    NOTHING,
    TEXT,
    Schema,
    list_of,
    open_object,
    or_null,
    ref,
)

_SOME_TEXT: Final = {**TEXT, "minLength": 1}
_ANYTHING: Final[Schema] = {}
_ANY_OBJECT: Final[Schema] = {"type": "object"}
_ANY_LIST: Final = list_of(_ANYTHING)
_LENGTH = or_null({"type": "integer", "minimum": 1})
_FUNCTION: Final[Schema] = {"const": "function"}

_CONTENT: Schema = {
    "oneOf": [TEXT, NOTHING, list_of(open_object(("type",), type=TEXT, text=TEXT))],
    "description": "Text, nothing, or parts, of which those with text are read",
}
_ROLE: Schema = {"type": "string", "enum": sorted(ROLES)}


def _but(value: str) -> Schema:
    """Return the schema of any string but this one."""
    return {"type": "string", "not": {"const": value}}


def _tools(function: Schema) -> Schema:
    """Return the schema of ``tools``. OpenRouter's own tools have another type."""
    return or_null(
        list_of({"anyOf": [function, open_object(("type",), type=_but("function"))]}),
    )


def _tool_choice(function: Schema) -> Schema:
    others = {"type": "object", "properties": {"type": {"not": _FUNCTION}}}
    return {"anyOf": [{"enum": [*TOOL_CHOICES, None]}, function, others]}


_ANY_API: Final[dict[str, Schema]] = {
    "model": {**or_null(TEXT), "description": "Unless given, the first of GET /api/v1/models"},
    "models": {**or_null(list_of(TEXT)), "description": "Further models: the first known answers"},
    "stream": or_null(FLAG),
    "plugins": {**or_null(_ANY_LIST), "description": "The plugin web adds a source"},
    "reasoning": or_null(_ANY_OBJECT),
}
_CHAT_LENGTHS: Final[dict[str, Schema]] = {
    "max_completion_tokens": _LENGTH,
    "max_tokens": _LENGTH,
    "stop": {"anyOf": [NOTHING, TEXT, list_of(TEXT)]},
}
_CHAT_REQUEST = open_object(
    ("messages",),
    messages=list_of(ref("Message"), minItems=1),
    **_ANY_API,
    **_CHAT_LENGTHS,
    modalities={**or_null(_ANY_LIST), "description": "With image, the answer has a picture"},
    tools=_tools(
        open_object(
            ("type", "function"),
            type=_FUNCTION,
            function=open_object(("name",), name=_SOME_TEXT),
        )
    ),
    tool_choice=_tool_choice(
        open_object(
            ("type", "function"), type=_FUNCTION, function=open_object(("name",), name=TEXT)
        )
    ),
    response_format={
        "anyOf": [
            NOTHING,
            {"type": "object", "properties": {"type": {"not": {"const": "json_schema"}}}},
            open_object(
                ("type", "json_schema"),
                type={"const": "json_schema"},
                json_schema=open_object(("schema",), schema=_ANYTHING),
            ),
        ]
    },
)
_COMPLETION_REQUEST = open_object(
    ("prompt",),
    prompt={"anyOf": [TEXT, list_of(TEXT, minItems=1, maxItems=1)]},
    **_ANY_API,
    **_CHAT_LENGTHS,
)
_ITEM: Schema = {
    "anyOf": [
        open_object(("role",), type={"const": "message"}, role=_ROLE, content=_CONTENT),
        open_object(("type",), type={"const": "function_call"}),
        open_object(("type",), type={"const": "function_call_output"}, output=_CONTENT),
        open_object(
            ("type",),
            type={
                "type": "string",
                "not": {"enum": ["message", "function_call", "function_call_output"]},
                "description": "Left out",
            },
        ),
    ]
}
_RESPONSES_REQUEST = open_object(
    ("input",),
    input={"anyOf": [TEXT, list_of(_ITEM, minItems=1)]},
    instructions=or_null(TEXT),
    **_ANY_API,
    max_output_tokens=_LENGTH,
    modalities=or_null(_ANY_LIST),
    tools=_tools(open_object(("type", "name"), type=_FUNCTION, name=_SOME_TEXT)),
    tool_choice=_tool_choice(open_object(("type", "name"), type=_FUNCTION, name=TEXT)),
    text=or_null(
        open_object(
            format={
                "anyOf": [
                    NOTHING,
                    {"type": "object", "properties": {"type": {"not": {"const": "json_schema"}}}},
                    open_object(("schema",), type={"const": "json_schema"}, schema=_ANYTHING),
                ]
            }
        )
    ),
)
_NUMBERS = list_of({"type": "integer"}, minItems=1)
_PARTS = open_object(("content",), content=_ANY_LIST)
_EMBEDDINGS_REQUEST = open_object(
    ("model", "input"),
    model=TEXT,
    input={
        "anyOf": [
            _SOME_TEXT,
            _NUMBERS,
            list_of({"anyOf": [_SOME_TEXT, _NUMBERS, _PARTS]}, minItems=1, maxItems=MAX_INPUTS),
        ]
    },
    dimensions=or_null({"type": "integer", "minimum": 1, "maximum": 3072}),
    encoding_format=or_null({"type": "string", "enum": ["float", "base64"]}),
)

REQUEST_SCHEMAS: Final[dict[str, Schema]] = {
    "Message": open_object(("role",), role=_ROLE, content=_CONTENT),
    "ChatRequest": _CHAT_REQUEST,
    "CompletionRequest": _COMPLETION_REQUEST,
    "ResponsesRequest": _RESPONSES_REQUEST,
    "EmbeddingsRequest": _EMBEDDINGS_REQUEST,
}
