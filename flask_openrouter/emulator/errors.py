"""Errors as OpenRouter's API words them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

#: What OpenRouter says with each documented status when nothing more precise is known.
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
    """An answer of the API that is an error: integer code, message, perhaps metadata."""

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
