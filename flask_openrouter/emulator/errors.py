"""The errors of OpenRouter's API, and the strict JSON reader that raises them."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NoReturn

from flask import request

KEYS_PAGE = "https://openrouter.ai/settings/keys"
#: Longest request body that is read, in bytes.
MAX_BODY_LENGTH = 1024 * 1024
#: How deep JSON in a request may be nested.
MAX_JSON_DEPTH = 100
#: What the exchange answers live, as plain text, to a body that is no JSON.
MALFORMED_JSON = "Malformed JSON in request body"

#: OpenRouter's message for each documented status, where nothing more precise is known.
MESSAGES: Mapping[int, str] = {
    400: "Invalid request parameters",
    401: "Missing Authentication header",
    402: "Insufficient credits. Add more using https://openrouter.ai/settings/credits",
    403: "Only management keys can perform this operation",
    404: "Resource not found",
    405: "Method Not Allowed",
    408: "Operation timed out. Please try again later.",
    409: "Resource conflict. Please try again later.",
    413: "Request payload too large",
    422: "Invalid argument",
    429: "Rate limit exceeded",
    500: "Internal Server Error",
    502: "Provider returned error",
    503: "Service temporarily unavailable",
    524: "Request timed out. Please try again later.",
    529: "Provider returned error",
}

# Documented kinds (the API's ``error_type``) of a failure in the middle of a stream.
_ERROR_TYPES: Mapping[int, str] = {
    429: "rate_limit_exceeded",
    502: "provider_unavailable",
    503: "provider_unavailable",
    529: "provider_overloaded",
}


class APIError(Exception):
    """An error response of the API: an integer code, a message and, for some, metadata."""

    def __init__(
        self, status: int, message: str | None = None, *, metadata: Mapping[str, Any] | None = None
    ) -> None:
        super().__init__(status, message)
        self.status = status
        self.message: str = message or MESSAGES.get(status, "Unknown error")
        self.metadata = metadata

    def as_json(self) -> dict[str, Any]:
        """Return the documented body."""
        error: dict[str, Any] = {"code": self.status, "message": self.message}
        if self.metadata is not None:
            error["metadata"] = dict(self.metadata)
        return {"error": error}


class ZodError(APIError):
    """The 400 of OpenRouter's validation library, which has no ``code``, as seen live.

    An issue has the members ``code``, ``path``, ``message`` and, for some, what was expected.
    """

    def __init__(self, *issues: Mapping[str, Any]) -> None:
        super().__init__(400)
        self.issues = issues

    def as_json(self) -> dict[str, Any]:
        """Return the body as seen live: the message is JSON in a string."""
        return zod_body(*self.issues)


class MalformedJSON(APIError):
    """The 400 to a body that is no JSON: plain text, as seen live."""

    def __init__(self) -> None:
        super().__init__(400, MALFORMED_JSON)


def zod_body(*issues: Mapping[str, Any]) -> dict[str, Any]:
    """Return the body of a :class:`ZodError`."""
    message = json.dumps(issues, indent=2)
    return {"success": False, "error": {"name": "ZodError", "message": message}}


#: The issue that the code is an empty string.
TOO_SHORT: dict[str, Any] = {
    "origin": "string",
    "code": "too_small",
    "minimum": 1,
    "inclusive": True,
    "path": ["code"],
    "message": "Too small: expected string to have >=1 characters",
}


def invalid_type(member: str | None, expected: str, received: str = "undefined") -> dict[str, Any]:
    """Return the issue that a member, or the whole body, has the wrong type or is missing."""
    return {
        "expected": expected,
        "code": "invalid_type",
        "path": [] if member is None else [member],
        "message": f"Invalid input: expected {expected}, received {received}",
    }


def invalid_choice(member: str, choices: Sequence[str]) -> dict[str, Any]:
    """Return the issue that a member has none of the allowed values."""
    allowed = "|".join(f'"{choice}"' for choice in choices)
    return {
        "code": "invalid_value",
        "values": list(choices),
        "path": [member],
        "message": f"Invalid option: expected one of {allowed}",
    }


def disconnected_error(status: int) -> dict[str, Any]:
    """Return the ``error`` member for a provider that fails in the middle of a stream."""
    metadata = {"error_type": _ERROR_TYPES.get(status, "server")}
    return {"code": status, "message": "Provider disconnected", "metadata": metadata}


def spent_key_message(period: str) -> str:
    """Return the message of a 403 because the limit of a key is spent."""
    return f"Key limit exceeded ({period} limit). Manage it using {KEYS_PAGE}"


def read_json_object() -> dict[str, Any]:
    """Return the JSON object in the body of the current request.

    :raises APIError: 400 if the body is anything else, if an object in it names a member twice,
        or if the content type is not JSON.
    """
    body = parse_json(request.get_data()) if request.is_json else None
    if not isinstance(body, dict):
        raise APIError(400, "Invalid request parameters")
    return body


def parse_json(data: bytes) -> Any:
    """Return the JSON value in ``data``, or ``None`` if :func:`load_json` refuses it."""
    try:
        return load_json(data)
    except ValueError:
        return None


def load_json(data: bytes) -> Any:
    """Return the JSON value in ``data``.

    :raises ValueError: if it is not JSON, or nested too deeply, or names a member twice.
    """
    try:
        value = json.loads(
            data.decode("utf-8"), object_pairs_hook=_unique, parse_constant=_refuse_constant
        )
    except RecursionError:
        raise ValueError("nested too deeply") from None
    if not is_shallow(value):
        raise ValueError("nested too deeply")
    return value


def is_shallow(value: object) -> bool:
    """Whether a JSON value is nested at most :data:`MAX_JSON_DEPTH` deep."""
    level = [value]
    for _ in range(MAX_JSON_DEPTH):
        level = [item for outer in level for item in _items_of(outer)]
        if not level:
            return True
    return False


def _items_of(value: object) -> Iterable[object]:
    if isinstance(value, dict):
        return value.values()
    return value if isinstance(value, list) else ()


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    members = dict(pairs)
    if len(members) != len(pairs):
        raise ValueError("a member occurs twice")
    return members


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not JSON")
