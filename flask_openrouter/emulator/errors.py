"""The errors of OpenRouter's API, and the strict JSON reader that raises them."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, NoReturn

from flask import request

#: Longest request body that is read, in bytes.
MAX_BODY_LENGTH = 1024 * 1024

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


def error_type(status: int) -> str:
    """Return the ``error_type`` of a failure with this status in the middle of a stream."""
    return _ERROR_TYPES.get(status, "server")


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
    """Return the JSON value in ``data``, or ``None`` if ``data`` is not JSON."""
    try:
        return json.loads(
            data.decode("utf-8"), object_pairs_hook=_unique, parse_constant=_refuse_constant
        )
    except (ValueError, RecursionError):
        return None


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    members = dict(pairs)
    if len(members) != len(pairs):
        raise ValueError("a member occurs twice")
    return members


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not JSON")
