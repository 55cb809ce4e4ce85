"""``GET /openapi.json``: the OpenAPI 3.1 document of the emulator.

OpenRouter publishes its own document at the same path. This one describes the emulator exactly: it
names every member of every response, and has an operation if and only if the emulator serves it.
"""

from __future__ import annotations

from typing import Any, Final

from flask import Blueprint, jsonify
from flask.typing import ResponseReturnValue

from .cors import API_PREFIX
from .errors import MALFORMED_JSON, MESSAGES
from .schemas import (
    AMOUNT,
    CALLBACK_URL,
    CODE_CHALLENGE,
    CODE_CHALLENGE_METHOD,
    KEY_LABEL,
    SCHEMAS,
    STATE,
    TEXT,
    UUID,
    Schema,
    open_object,
    ref,
)

bp: Final = Blueprint("openapi", __name__)

#: One operation, or another part of the document.
Part = dict[str, Any]

_BODY_TOO_LARGE = 413
_NO_KEY: list[Part] = []
_APP = [
    {"name": name, "in": "header", "schema": TEXT, "description": f"Of the asking app: its {what}"}
    for name, what in (
        ("HTTP-Referer", "address"),
        ("X-OpenRouter-Title", "name"),
        ("X-OpenRouter-Categories", "categories"),
    )
]
_PAGE = [
    {"name": "offset", "in": "query", "schema": {"type": "integer", "minimum": 0}},
    {"name": "limit", "in": "query", "schema": {"type": "integer", "minimum": 1}},
]


@bp.get("/openapi.json")
def openapi() -> ResponseReturnValue:
    """Serve the OpenAPI document."""
    return jsonify(document())


def document() -> Part:
    """Return the OpenAPI document."""
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "OpenRouter emulator",
            "version": "1",
            "description": "What the emulator of Flask-OpenRouter serves in OpenRouter's place. "
            "Requests that name another host than this machine are answered 400, and "
            "faults that a test asks for are answered as it asks.",
        },
        "servers": [{"url": "/"}],
        "security": [{"api_key": []}],
        "paths": _paths(),
        "components": {
            "securitySchemes": {"api_key": {"type": "http", "scheme": "bearer"}},
            "schemas": SCHEMAS,
        },
    }


def _paths() -> Part:
    return {
        path: {**found, "options": _preflight(found)} if path.startswith(API_PREFIX) else found
        for path, found in _operations().items()
    }


def _preflight(found: Part) -> Part:
    """Return the preflight of a path with these operations. They share its path parameters."""
    parameters = next(iter(found.values())).get("parameters", ())
    return _operation(
        "Let scripts of any origin call",
        {204: {"description": "They may"}},
        parameters=[each for each in parameters if each["in"] == "path"],
        security=_NO_KEY,
    )


def _operations() -> Part:
    key = _operation("Say what a key may spend", {200: _json("KeyInfo")}, 401, parameters=_APP)
    return {
        "/auth": {"get": _show_consent(), "post": _decide()},
        "/api/v1/auth/keys": {
            "post": _operation(
                "Exchange a code for a key",
                {200: _json("IssuedKey"), 400: _bad_exchange()},
                *(403, _BODY_TOO_LARGE),
                body=_body("ExchangeRequest"),
                security=_NO_KEY,
            ),
        },
        "/api/v1/auth/keys/code": {
            "post": _operation(
                "Create a code with a key instead of a visitor",
                {200: _json("Code")},
                *(400, 401, 403, 409, _BODY_TOO_LARGE),
                body=_body("CreateCodeRequest"),
                parameters=_APP,
            )
        },
        "/api/v1/key": {"get": key},
        "/api/v1/auth/key": {"get": {**key, "deprecated": True}},
        "/api/v1/credits": {
            "get": _operation("Return the balance", {200: _json("Credits")}, 401, 403)
        },
        "/api/v1/models": {
            "get": _operation(
                "List the models",
                {200: _json("Models")},
                400,
                parameters=_PAGE,
                security=_NO_KEY,
            )
        },
        "/api/v1/models/user": {
            "get": _operation(
                "List the models that the key may use",
                {200: _json("Models")},
                *(400, 401),
                parameters=_PAGE,
            )
        },
        "/api/v1/chat/completions": {"post": _complete()},
    }


def _show_consent() -> Part:
    query = {
        "callback_url": CALLBACK_URL,
        "code_challenge": CODE_CHALLENGE,
        "code_challenge_method": CODE_CHALLENGE_METHOD,
        "limit": AMOUNT,
        "key_label": KEY_LABEL,
        "state": STATE,
        "workspace_id": UUID,
        "required_workspace_id": UUID,
    }
    return _operation(
        "Show the consent page",
        {
            200: _html("The page"),
            400: _html("What is wrong with the request"),
            403: _html("The account lacks the workspace that the app requires"),
        },
        parameters=[{"name": name, "in": "query", "schema": query[name]} for name in query],
        security=_NO_KEY,
    )


def _decide() -> Part:
    form = open_object(
        ("consent", "decision"),
        consent=TEXT,
        decision={"type": "string", "enum": ["approve", "deny"]},
        workspace_id={**TEXT, "description": "The workspace that the visitor chose"},
    )
    return _operation(
        "Do what the visitor decided",
        {
            200: _html("The code, or that nothing was granted, for an app without callback"),
            303: {
                "description": "Back to the app",
                "headers": {"Location": {"required": True, "schema": {"type": "string"}}},
                "content": {"text/html": {"schema": TEXT}},
            },
            400: _html("The page was answered already, or nothing was decided"),
            403: _html("The form was sent from elsewhere, or the account lacks the workspace"),
            409: _html("The code could not be created"),
            _BODY_TOO_LARGE: _html(MESSAGES[_BODY_TOO_LARGE]),
        },
        body=_content("application/x-www-form-urlencoded", form),
        security=_NO_KEY,
    )


def _bad_exchange() -> Part:
    response = _json("Error", "Invalid code, or an invalid body, which is checked first")
    schema = {"oneOf": [ref("Error"), ref("ZodError")]}
    response["content"] = {
        **_content("application/json", schema)["content"],
        **_content("text/plain", {"const": MALFORMED_JSON})["content"],
    }
    return response


def _complete() -> Part:
    response = _json("Completion")
    response["description"] = "The answer; with stream, as server-sent events"
    response["content"] |= _content("text/event-stream", ref("Event"))["content"]
    response["headers"] = {"X-Generation-Id": {"required": True, "schema": {"type": "string"}}}
    return _operation(
        "Answer a conversation",
        {200: response},
        *(400, 401, 402, 403, _BODY_TOO_LARGE),
        body=_body("ChatRequest"),
        parameters=_APP,
    )


def _operation(
    summary: str,
    successes: dict[int, Part],
    *errors: int,
    body: Part | None = None,
    parameters: list[Part] | None = None,
    security: list[Part] | None = None,
) -> Part:
    """Return an operation. Without ``security`` it needs a key."""
    responses = successes | {status: _json("Error", MESSAGES[status]) for status in errors}
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


def _body(name: str) -> Part:
    return _content("application/json", ref(name))


def _json(name: str, description: str = "OK") -> Part:
    return {"description": description, **_content("application/json", ref(name))}


def _html(description: str) -> Part:
    return {"description": description, **_content("text/html", TEXT)}


def _content(media_type: str, schema: Schema) -> Part:
    return {"content": {media_type: {"schema": schema}}}
