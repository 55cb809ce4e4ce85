"""What a key opens besides chat: ``/key``, ``/credits``, ``/models``."""

from __future__ import annotations

from typing import Final

from flask import Blueprint, jsonify, request
from flask.typing import ResponseReturnValue
from werkzeug.datastructures import MultiDict

from .emulator import get_emulator
from .errors import APIError
from .models import MODELS

MAX_PAGE = 1_000

bp: Final = Blueprint("account", __name__)


def bearer_key() -> str | None:
    """Return the key that the current request carries, if any."""
    scheme, _, credential = request.headers.get("Authorization", "").partition(" ")
    return credential.strip() or None if scheme.lower() == "bearer" else None


def require_key() -> str:
    """Return the hash of the live key that the current request carries.

    :raises APIError: 401 without a key, and for one that is unknown, deleted or expired.
    """
    api_key = bearer_key()
    if api_key is None:
        raise APIError(401, "Missing Authentication header")
    emulator = get_emulator()
    key_hash = emulator.ledger.live_key(api_key, emulator.now())
    if key_hash is None:
        raise APIError(401, "User not found.")
    return key_hash


@bp.get("/api/v1/key")
@bp.get("/api/v1/auth/key")
def key_info() -> ResponseReturnValue:
    """Describe the key itself."""
    key_hash = require_key()
    emulator = get_emulator()
    return jsonify({"data": emulator.ledger.key_info(key_hash, emulator.now())})


@bp.get("/api/v1/credits")
def credit_balance() -> ResponseReturnValue:
    """Refuse: the balance of the account is for management keys."""
    require_key()
    raise APIError(403)


@bp.get("/api/v1/models")
def models() -> ResponseReturnValue:
    """List the models, with or without a key."""
    return _models_page(request.args)


@bp.get("/api/v1/models/user")
def models_of_user() -> ResponseReturnValue:
    """List the models that the key's user may use: here, all of them."""
    require_key()
    return _models_page(request.args)


def _models_page(arguments: MultiDict[str, str]) -> ResponseReturnValue:
    offset = _whole_number(arguments.get("offset"), default=0, least=0)
    limit = _whole_number(arguments.get("limit"), default=MAX_PAGE, least=1)
    following = offset + limit
    next_page = f"{request.path}?offset={following}&limit={limit}"
    return jsonify(
        {
            "data": [model.as_json() for model in MODELS[offset:following]],
            "total_count": len(MODELS),
            "links": {"next": next_page if following < len(MODELS) else None},
        }
    )


def _whole_number(value: str | None, *, default: int, least: int) -> int:
    if value is None:
        return default
    # Python reads no more than 4,300 digits.
    if not (value.isascii() and value.isdigit() and len(value) <= 400) or int(value) < least:
        raise APIError(400)
    return min(int(value), MAX_PAGE) if least else int(value)
