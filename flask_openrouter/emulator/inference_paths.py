"""The operations of the OpenAPI document for models and for everything that a model answers."""

from __future__ import annotations

from .operation import APP, BODY_TOO_LARGE, NO_KEY, Part, body_of, content, json_of, operation
from .schemas import TEXT, ref

_PAGE: list[Part] = [
    {"name": "offset", "in": "query", "schema": {"type": "integer", "minimum": 0}},
    {"name": "limit", "in": "query", "schema": {"type": "integer", "minimum": 1}},
]
_CHOICE: list[Part] = [
    {"name": name, "in": "query", "schema": TEXT, "description": f"Only models with these {what}"}
    for name, what in (
        ("output_modalities", "outputs: all, or names separated by commas"),
        ("supported_parameters", "parameters, separated by commas"),
    )
]
_SLUG: list[Part] = [
    {"name": name, "in": "path", "required": True, "schema": TEXT} for name in ("author", "slug")
]


def inference_paths() -> Part:
    """Return the operations by path and method."""
    return {
        "/api/v1/models": _list("List the models", "Models", 400, parameters=[*_PAGE, *_CHOICE]),
        "/api/v1/models/user": {
            "get": operation(
                "List the models that the key may use",
                {200: json_of("Models")},
                *(400, 401),
                parameters=[*_PAGE, *_CHOICE],
            )
        },
        "/api/v1/models/count": _list("Count the models", "ModelCount", parameters=_CHOICE),
        "/api/v1/model/{author}/{slug}": _list(
            "Return one model", "OneModel", 404, parameters=_SLUG
        ),
        "/api/v1/models/{author}/{slug}/endpoints": _list(
            "List the endpoints of a model", "Endpoints", 404, parameters=_SLUG
        ),
        "/api/v1/embeddings/models": _list(
            "List the models for embeddings", "Models", 400, parameters=_PAGE
        ),
        "/api/v1/providers": _list("List the providers", "Providers"),
        "/api/v1/generation": {
            "get": operation(
                "Say what an answer used and cost",
                {200: json_of("Generation")},
                *(400, 401, 404),
                parameters=[
                    {
                        "name": "id",
                        "in": "query",
                        "required": True,
                        "schema": {"type": "string", "minLength": 1},
                    }
                ],
            )
        },
        "/api/v1/chat/completions": _answer(
            "Answer a conversation", "ChatRequest", "Completion", "Event"
        ),
        "/api/v1/completions": _answer(
            "Answer a prompt", "CompletionRequest", "TextCompletion", "TextEvent"
        ),
        "/api/v1/responses": _answer(
            "Answer input items", "ResponsesRequest", "ResponsesResult", "ResponsesEvent"
        ),
        "/api/v1/embeddings": _answer(
            "Return vectors for texts", "EmbeddingsRequest", "Embeddings", None, 404
        ),
    }


def _list(summary: str, name: str, *errors: int, parameters: list[Part] | None = None) -> Part:
    found = {200: json_of(name)}
    return {"get": operation(summary, found, *errors, parameters=parameters, security=NO_KEY)}


def _answer(summary: str, request: str, name: str, event: str | None, *errors: int) -> Part:
    response = json_of(name)
    if event is not None:
        response["description"] = "The answer; with stream, as server-sent events"
        response["content"] |= content("text/event-stream", ref(event))["content"]
    response["headers"] = {"X-Generation-Id": {"required": True, "schema": {"type": "string"}}}
    return {
        "post": operation(
            summary,
            {200: response},
            *(400, 401, 402, 403, *errors, BODY_TOO_LARGE),
            body=body_of(request),
            parameters=APP,
        )
    }
