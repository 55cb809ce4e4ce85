"""``GET /openapi.json``: the OpenAPI 3.1 document of the emulator.

OpenRouter publishes its own document at the same path. This one describes the emulator exactly: it
names every member of every response, and has an operation if and only if the emulator serves it.
"""

from __future__ import annotations

from typing import Final

from flask import Blueprint, jsonify
from flask.typing import ResponseReturnValue

from .answer_schemas import ANSWER_SCHEMAS
from .cors import API_PREFIX
from .errors import MALFORMED_JSON, MESSAGES
from .inference_paths import inference_paths
from .listing_schemas import LISTING_SCHEMAS
from .operation import (
    APP,
    BODY_TOO_LARGE,
    NO_KEY,
    Part,
    body_of,
    content,
    html_page,
    json_of,
    operation,
)
from .request_schemas import REQUEST_SCHEMAS
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
    open_object,
    ref,
)

bp: Final = Blueprint("openapi", __name__)


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
            "schemas": SCHEMAS | LISTING_SCHEMAS | REQUEST_SCHEMAS | ANSWER_SCHEMAS,
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
    return operation(
        "Let scripts of any origin call",
        {204: {"description": "They may"}},
        parameters=[each for each in parameters if each["in"] == "path"],
        security=NO_KEY,
    )


def _operations() -> Part:
    key = operation("Say what a key may spend", {200: json_of("KeyInfo")}, 401, parameters=APP)
    return {
        "/auth": {"get": _show_consent(), "post": _decide()},
        "/api/v1/auth/keys": {
            "post": operation(
                "Exchange a code for a key",
                {200: json_of("IssuedKey"), 400: _bad_exchange()},
                *(403, BODY_TOO_LARGE),
                body=body_of("ExchangeRequest"),
                security=NO_KEY,
            ),
        },
        "/api/v1/auth/keys/code": {
            "post": operation(
                "Create a code with a key instead of a visitor",
                {200: json_of("Code")},
                *(400, 401, 403, 409, BODY_TOO_LARGE),
                body=body_of("CreateCodeRequest"),
                parameters=APP,
            )
        },
        "/api/v1/key": {"get": key},
        "/api/v1/auth/key": {"get": {**key, "deprecated": True}},
        "/api/v1/credits": {
            "get": operation("Return the balance", {200: json_of("Credits")}, 401, 403)
        },
        **inference_paths(),
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
    return operation(
        "Show the consent page",
        {
            200: html_page("The page"),
            400: html_page("What is wrong with the request"),
            403: html_page("The account lacks the workspace that the app requires"),
        },
        parameters=[{"name": name, "in": "query", "schema": query[name]} for name in query],
        security=NO_KEY,
    )


def _decide() -> Part:
    form = open_object(
        ("consent", "decision"),
        consent=TEXT,
        decision={"type": "string", "enum": ["approve", "deny"]},
        workspace_id={**TEXT, "description": "The workspace that the visitor chose"},
    )
    return operation(
        "Do what the visitor decided",
        {
            200: html_page("The code, or that nothing was granted, for an app without callback"),
            303: {
                "description": "Back to the app",
                "headers": {"Location": {"required": True, "schema": {"type": "string"}}},
                "content": {"text/html": {"schema": TEXT}},
            },
            400: html_page("The page was answered already, or nothing was decided"),
            403: html_page("The form was sent from elsewhere, or the account lacks the workspace"),
            409: html_page("The code could not be created"),
            BODY_TOO_LARGE: html_page(MESSAGES[BODY_TOO_LARGE]),
        },
        body=content("application/x-www-form-urlencoded", form),
        security=NO_KEY,
    )


def _bad_exchange() -> Part:
    response = json_of("Error", "Invalid code, or an invalid body, which is checked first")
    schema = {"oneOf": [ref("Error"), ref("ZodError")]}
    response["content"] = {
        **content("application/json", schema)["content"],
        **content("text/plain", {"const": MALFORMED_JSON})["content"],
    }
    return response
