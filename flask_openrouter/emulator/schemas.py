"""The schemas of the OpenAPI document (JSON Schema 2020-12), for request and response bodies."""

from __future__ import annotations

from typing import Any

from .amounts import MAX_USD
from .authorization import (
    CODE_CHALLENGE_METHODS,
    LIMIT_RESETS,
    MAX_CALLBACK_URL_LENGTH,
    MAX_KEY_LABEL_LENGTH,
    MAX_STATE_LENGTH,
)
from .ledger import KEY_MARKER, KEY_PREFIX

Schema = dict[str, Any]

_PORT = "(6553[0-5]|655[0-2][0-9]|65[0-4][0-9]{2}|6[0-4][0-9]{3}|[1-5][0-9]{4}|[1-9][0-9]{0,3})"
_HOST = r"(localhost|127(\.(25[0-5]|2[0-4][0-9]|1[0-9]{2}|[1-9]?[0-9])){3}|\[::1\])"

TEXT: Schema = {"type": "string"}
COUNT: Schema = {"type": "integer", "minimum": 0}
FLAG: Schema = {"type": "boolean"}
AMOUNT: Schema = {
    "type": "number",
    "minimum": 0,
    "maximum": MAX_USD,
    "description": "US dollars",
}
UUID: Schema = {"type": "string", "format": "uuid"}
STATE: Schema = {"type": "string", "maxLength": MAX_STATE_LENGTH}
NOTHING: Schema = {"type": "null"}
DATE_TIME: Schema = {"type": "string", "format": "date-time"}

_ANY_HOST = r"(\[::1\]|[0-9A-Za-z_-]+(\.[0-9A-Za-z_-]+)*)"
_REST = r"([/?][!-\"$-\[\]-~]*)?"

CALLBACK_URL: Schema = {
    "type": "string",
    "maxLength": MAX_CALLBACK_URL_LENGTH,
    "pattern": rf"^https?://{_HOST}(:{_PORT})?{_REST}$",
    "description": "Where the visitor goes with the code: on this machine, without a fragment",
    "examples": ["http://localhost:3000/openrouter/callback"],
}
ANY_CALLBACK_URL: Schema = {
    "type": "string",
    "maxLength": MAX_CALLBACK_URL_LENGTH,
    "pattern": rf"^(https://{_ANY_HOST}|http://{_HOST})(:{_PORT})?{_REST}$",
    "description": "Where the code is used: https, or on this machine, without a fragment",
    "examples": ["https://app.example/auth/callback"],
}
CODE_VERIFIER: Schema = {
    "type": "string",
    "pattern": "^[A-Za-z0-9._~-]{43,128}$",
    "description": "RFC 7636 section 4.1",
    "examples": ["dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk"],
}
CODE_CHALLENGE: Schema = {
    **CODE_VERIFIER,
    "description": "RFC 7636 section 4.2. That of the method S256 has 43 letters, digits, - and _",
    "examples": ["E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM"],
}
CODE_CHALLENGE_METHOD: Schema = {"type": "string", "enum": list(CODE_CHALLENGE_METHODS)}
KEY_LABEL: Schema = {"type": "string", "maxLength": MAX_KEY_LABEL_LENGTH}


def or_null(schema: Schema) -> Schema:
    """Return the schema that accepts null as well."""
    if "enum" in schema:
        schema = {**schema, "enum": [*schema["enum"], None]}
    return {**schema, "type": [schema["type"], "null"]}


def list_of(items: Schema, **rest: Any) -> Schema:
    """Return the schema of an array."""
    return {"type": "array", "items": items, **rest}


def open_object(required: tuple[str, ...] = (), **properties: Schema) -> Schema:
    """Return the schema of an object that may have further members, which are ignored."""
    return {"type": "object", "properties": properties, "required": list(required)}


def closed_object(**properties: Schema) -> Schema:
    """Return the schema of an object with exactly these members."""
    return {
        "type": "object",
        "properties": properties,
        "required": list(properties),
        "additionalProperties": False,
    }


def optional(closed: Schema, **properties: Schema) -> Schema:
    """Return the schema of a closed object with further members, which may be missing."""
    return {**closed, "properties": {**closed["properties"], **properties}}


def ref(name: str) -> Schema:
    """Return a reference to one of :data:`SCHEMAS`."""
    return {"$ref": f"#/components/schemas/{name}"}


_CREATE_CODE_REQUEST = open_object(
    ("callback_url",),
    callback_url=ANY_CALLBACK_URL,
    code_challenge=CODE_CHALLENGE,
    code_challenge_method=CODE_CHALLENGE_METHOD,
    limit=AMOUNT,
    key_label=KEY_LABEL,
    usage_limit_type={
        "type": "string",
        "enum": list(LIMIT_RESETS),
        "description": "When what was spent of the limit starts anew",
    },
    expires_at={**or_null(DATE_TIME), "description": "In the future, with seconds and zone"},
    workspace_id=UUID,
)
_EXCHANGE_REQUEST = open_object(
    ("code",),
    code={"type": "string", "minLength": 1},
    code_verifier=CODE_VERIFIER,
    code_challenge_method=or_null(CODE_CHALLENGE_METHOD),
)
_USAGES = {
    f"{prefix}{name}": AMOUNT
    for prefix in ("", "byok_")
    for name in ("usage", "usage_daily", "usage_weekly", "usage_monthly")
}
_KEY_INFO = closed_object(
    label={"type": "string", "description": "The key, masked"},
    limit=or_null(AMOUNT),
    limit_remaining=or_null(AMOUNT),
    limit_reset=or_null({"type": "string", "enum": list(LIMIT_RESETS)}),
    include_byok_in_limit=FLAG,
    **_USAGES,
    is_free_tier=FLAG,
    is_management_key=FLAG,
    is_provisioning_key=FLAG,
    creator_user_id=or_null(TEXT),
    expires_at=or_null(DATE_TIME),
    rate_limit=closed_object(requests={"type": "integer"}, interval=TEXT, note=TEXT),
    allowed_data_regions=list_of(TEXT),
    free_model_daily_requests=closed_object(limit=COUNT, remaining=COUNT, used=COUNT),
    organization_id=NOTHING,
    workspace_id=or_null(UUID),
    budgets=list_of(TEXT, maxItems=0),
    effective_budget=NOTHING,
)
_ERROR = closed_object(
    error=open_object(("code", "message"), code=COUNT, message=TEXT, metadata={"type": "object"})
)

_ZOD_ERROR = closed_object(
    success={"const": False},
    error=closed_object(
        name={"const": "ZodError"},
        message={"type": "string", "contentMediaType": "application/json"},
    ),
)

SCHEMAS: dict[str, Schema] = {
    "ExchangeRequest": _EXCHANGE_REQUEST,
    "IssuedKey": closed_object(
        key={"type": "string", "pattern": f"^{KEY_PREFIX}{KEY_MARKER}[0-9a-f]{{48}}$"},
        user_id=or_null(TEXT),
    ),
    "CreateCodeRequest": _CREATE_CODE_REQUEST,
    "Code": closed_object(
        data=closed_object(
            id={"type": "string", "pattern": "^auth_code_[A-Za-z0-9_-]{32}$"},
            app_id=COUNT,
            created_at=DATE_TIME,
        )
    ),
    "KeyInfo": closed_object(data=_KEY_INFO),
    "Credits": closed_object(data=closed_object(total_credits=AMOUNT, total_usage=AMOUNT)),
    "Error": _ERROR,
    "ZodError": _ZOD_ERROR,
}
