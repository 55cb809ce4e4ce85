"""The schemas of the OpenAPI document for what a model answers, plain and in a stream."""

from __future__ import annotations

from typing import Final

from .schemas import (
    AMOUNT,
    COUNT,
    FLAG,
    NOTHING,
    TEXT,
    Schema,
    closed_object,
    list_of,
    open_object,
    optional,
    or_null,
    ref,
)

_ANY_OBJECT: Final[Schema] = {"type": "object"}
_FUNCTION: Final[Schema] = {"const": "function"}
_GENERATION_ID: Schema = {"type": "string", "pattern": "^gen-[0-9a-f]{24}$"}
_REASONS: Schema = {"type": "string", "enum": ["stop", "length", "tool_calls"]}
_REASONS_OF_CHUNKS: Schema = {"type": "string", "enum": [*_REASONS["enum"], "error"]}
_COST_DETAILS = closed_object(
    upstream_inference_cost=NOTHING,
    upstream_inference_prompt_cost=AMOUNT,
    upstream_inference_completions_cost=AMOUNT,
)
_USAGE = optional(
    closed_object(
        prompt_tokens=COUNT,
        completion_tokens=COUNT,
        total_tokens=COUNT,
        is_byok={"const": False},
        prompt_tokens_details=closed_object(cached_tokens=COUNT, audio_tokens=COUNT),
        completion_tokens_details=closed_object(reasoning_tokens=COUNT),
    ),
    cost=AMOUNT,
    cost_details=_COST_DETAILS,
)
_REASONING: dict[str, Schema] = {
    "reasoning": TEXT,
    "reasoning_details": list_of(
        closed_object(
            type={"const": "reasoning.text"}, text=TEXT, format={"const": "unknown"}, index=COUNT
        )
    ),
}
_ATTACHMENTS: dict[str, Schema] = {
    "images": list_of(
        closed_object(type={"const": "image_url"}, image_url=closed_object(url=TEXT), index=COUNT)
    ),
    "annotations": list_of(
        closed_object(
            type={"const": "url_citation"},
            url_citation=closed_object(
                url=TEXT, title=TEXT, content=TEXT, start_index=COUNT, end_index=COUNT
            ),
        )
    ),
}


def _call(*required: str) -> Schema:
    return open_object(
        required,
        index=COUNT,
        id=TEXT,
        type=_FUNCTION,
        function=open_object(("arguments",), name=TEXT, arguments=TEXT),
    )


_MESSAGE = optional(
    closed_object(role={"const": "assistant"}, content=or_null(TEXT), refusal=NOTHING),
    tool_calls=list_of(_call("id", "type", "function")),
    **_REASONING,
    **_ATTACHMENTS,
)
_HEADER: dict[str, Schema] = {
    "id": _GENERATION_ID,
    "created": COUNT,
    "model": TEXT,
    "provider": TEXT,
}
_COMPLETION = closed_object(
    object={"const": "chat.completion"},
    **_HEADER,
    system_fingerprint=NOTHING,
    choices=list_of(
        closed_object(
            index={"const": 0},
            finish_reason=_REASONS,
            native_finish_reason=_REASONS,
            message=_MESSAGE,
        ),
        minItems=1,
        maxItems=1,
    ),
    usage=ref("Usage"),
)
_STREAM_ERROR = open_object(("code", "message"), code=COUNT, message=TEXT, metadata=_ANY_OBJECT)
_CHUNK = open_object(
    (*_HEADER, "object", "choices"),
    object={"const": "chat.completion.chunk"},
    **_HEADER,
    choices=list_of(
        open_object(
            ("index", "delta", "finish_reason"),
            index={"const": 0},
            delta=open_object(
                ("role", "content"),
                role={"const": "assistant"},
                content=TEXT,
                tool_calls=list_of(_call("index", "function")),
                **_REASONING,
                **_ATTACHMENTS,
            ),
            finish_reason=or_null(_REASONS_OF_CHUNKS),
            native_finish_reason=_REASONS_OF_CHUNKS,
        ),
        maxItems=1,
    ),
    usage=ref("Usage"),
    error=_STREAM_ERROR,
)
_TEXT_COMPLETION = optional(
    closed_object(
        object={"const": "text_completion"},
        **_HEADER,
        choices=list_of(
            optional(
                closed_object(
                    index={"const": 0},
                    text=TEXT,
                    logprobs=NOTHING,
                    finish_reason=or_null(_REASONS_OF_CHUNKS),
                    native_finish_reason=or_null(_REASONS_OF_CHUNKS),
                ),
                reasoning=or_null(TEXT),
            ),
            maxItems=1,
        ),
    ),
    usage=ref("Usage"),
    error=_STREAM_ERROR,
)
_ITEM_STATUS: Schema = {"type": "string", "enum": ["in_progress", "completed", "incomplete"]}
_NOTE = closed_object(
    type={"const": "url_citation"}, url=TEXT, title=TEXT, start_index=COUNT, end_index=COUNT
)
_ITEM: Schema = {
    "oneOf": [
        closed_object(
            type={"const": "message"},
            id=TEXT,
            role={"const": "assistant"},
            status=_ITEM_STATUS,
            content=list_of(
                closed_object(
                    type={"const": "output_text"},
                    text=TEXT,
                    annotations=list_of(_NOTE),
                    logprobs=list_of(TEXT, maxItems=0),
                )
            ),
        ),
        closed_object(
            type={"const": "reasoning"},
            id=TEXT,
            summary=list_of(closed_object(type={"const": "summary_text"}, text=TEXT)),
            status=_ITEM_STATUS,
        ),
        closed_object(
            type={"const": "function_call"},
            id=TEXT,
            call_id=TEXT,
            name=TEXT,
            arguments=TEXT,
            status=_ITEM_STATUS,
        ),
        closed_object(
            type={"const": "image_generation_call"}, id=TEXT, status=_ITEM_STATUS, result=TEXT
        ),
    ]
}
_RESPONSES_USAGE = optional(
    closed_object(
        input_tokens=COUNT,
        input_tokens_details=closed_object(cached_tokens=COUNT),
        output_tokens=COUNT,
        output_tokens_details=closed_object(reasoning_tokens=COUNT),
        total_tokens=COUNT,
        is_byok={"const": False},
    ),
    cost=AMOUNT,
    cost_details=closed_object(
        upstream_inference_cost=NOTHING,
        upstream_inference_input_cost=AMOUNT,
        upstream_inference_output_cost=AMOUNT,
    ),
)
_NUMBER: Schema = {"type": ["number", "null"]}
_RESPONSE = optional(
    closed_object(
        id=_GENERATION_ID,
        object={"const": "response"},
        created_at=COUNT,
        completed_at=or_null(COUNT),
        model=TEXT,
        status={"type": "string", "enum": ["in_progress", "completed", "incomplete", "failed"]},
        output=list_of(_ITEM),
        error=or_null(closed_object(code=TEXT, message=TEXT)),
        incomplete_details=or_null(closed_object(reason={"const": "max_output_tokens"})),
        temperature=_NUMBER,
        top_p=_NUMBER,
        presence_penalty=_NUMBER,
        frequency_penalty=_NUMBER,
        instructions=or_null(TEXT),
        max_output_tokens=or_null(COUNT),
        metadata=or_null(_ANY_OBJECT),
        parallel_tool_calls=FLAG,
        tool_choice={},
        tools=list_of(_ANY_OBJECT),
    ),
    usage=_RESPONSES_USAGE,
)
_RESPONSES_EVENT = open_object(
    ("type", "sequence_number"),
    type={"type": "string", "pattern": r"^response\."},
    sequence_number=COUNT,
    response=ref("ResponsesResult"),
    item=_ITEM,
    output_index=COUNT,
    item_id=TEXT,
    delta=TEXT,
    text=TEXT,
)
_EMBEDDINGS = closed_object(
    object={"const": "list"},
    id=_GENERATION_ID,
    model=TEXT,
    data=list_of(
        closed_object(
            object={"const": "embedding"},
            index=COUNT,
            embedding={
                "oneOf": [list_of({"type": "number"}), {**TEXT, "contentEncoding": "base64"}]
            },
        )
    ),
    usage=optional(closed_object(prompt_tokens=COUNT, total_tokens=COUNT), cost=AMOUNT),
)


def _event(name: str) -> Schema:
    """Return the schema of one event, whose data is an object of this name as JSON."""
    return open_object(
        ("data",),
        data={
            "oneOf": [
                {"const": "[DONE]", "description": "The last event"},
                {
                    "type": "string",
                    "pattern": "^{",
                    "contentMediaType": "application/json",
                    "contentSchema": ref(name),
                },
            ]
        },
    )


ANSWER_SCHEMAS: Final[dict[str, Schema]] = {
    "Usage": _USAGE,
    "Completion": _COMPLETION,
    "Chunk": _CHUNK,
    "Event": _event("Chunk"),
    "TextCompletion": _TEXT_COMPLETION,
    "TextEvent": _event("TextCompletion"),
    "ResponsesResult": _RESPONSE,
    "ResponsesData": _RESPONSES_EVENT,
    "ResponsesEvent": _event("ResponsesData"),
    "Embeddings": _EMBEDDINGS,
}
