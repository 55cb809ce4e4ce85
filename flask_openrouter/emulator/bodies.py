"""Reading JSON bodies strictly."""

from __future__ import annotations

import json
from typing import Any, NoReturn

from flask import request

from .errors import APIError

#: Longest request body that is read, in bytes.
MAX_BODY_LENGTH = 1024 * 1024


def read_json_object() -> dict[str, Any]:
    """Return the JSON object that the current request carries.

    :raises APIError: 400 if the body is anything else, names a member twice, or does not say
        that it is JSON.
    """
    body = parse_json(request.get_data()) if request.is_json else None
    if not isinstance(body, dict):
        raise APIError(400, "Invalid request parameters")
    return body


def parse_json(data: bytes) -> Any:
    """Return the JSON value in ``data``, or ``None`` if there is none."""
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
