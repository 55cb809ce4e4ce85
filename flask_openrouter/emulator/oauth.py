"""``POST /api/v1/auth/keys`` and ``/auth/keys/code``: codes into keys, keys into codes."""

from __future__ import annotations

import zlib
from typing import Any, Final

from flask import Blueprint, Response, jsonify
from flask.typing import ResponseReturnValue

from .account import require_key
from .authorization import AuthorizationRequest, InvalidAuthorization, read_json
from .bodies import read_json_object
from .config import EmulatorConfig
from .emulator import get_emulator
from .errors import APIError
from .keys import iso_time
from .ledger import CodeRecord
from .pkce import CODE_CHALLENGE_METHODS, verifies

EXCHANGE_PATH = "/api/v1/auth/keys"

bp: Final = Blueprint("oauth", __name__)


@bp.route(EXCHANGE_PATH, methods=["OPTIONS"])
def exchange_preflight() -> ResponseReturnValue:
    """Let scripts of any origin exchange a code, as OpenRouter does."""
    response = Response(status=204)
    response.headers["Access-Control-Allow-Methods"] = "POST, OPTIONS"
    response.headers["Access-Control-Allow-Headers"] = "*, Authorization"
    response.headers["Access-Control-Max-Age"] = "600"
    return response


@bp.post(EXCHANGE_PATH)
def exchange() -> ResponseReturnValue:
    """Exchange an authorization code for a key.

    Whatever comes of it, a code that was named is spent: guessing a ``code_verifier`` is not
    worth a second try. What the real OpenRouter does there is unknown.
    """
    body = read_json_object()
    code, code_verifier = body.get("code"), body.get("code_verifier")
    method = body.get("code_challenge_method")
    if not isinstance(code, str) or not code:
        raise APIError(400)
    if "code_verifier" in body and not isinstance(code_verifier, str):
        raise APIError(400)
    if not isinstance(method, (str, type(None))):
        raise APIError(400)
    emulator = get_emulator()
    config, now = emulator.config, emulator.now()
    record = emulator.ledger.take_code(code)
    if record is None:
        raise _unknown_code(config)
    if now - record.issued_at >= config.code_max_age:
        raise APIError(403, "Authorization code expired")
    _check_pkce(record, code_verifier, method, config)
    api_key = emulator.ledger.issue_key(record.request, record.openrouter_user_id, now)
    return jsonify({"key": api_key, "user_id": record.openrouter_user_id})


@bp.post(f"{EXCHANGE_PATH}/code")
def create_code() -> ResponseReturnValue:
    """Create an authorization code with a key instead of a visitor."""
    key_hash = require_key()
    emulator = get_emulator()
    config, now = emulator.config, emulator.now()
    if config.management_keys_only:
        raise APIError(403)
    asked = _read(read_json_object(), now)
    if config.create_code_conflict:
        raise APIError(409)
    code = emulator.ledger.issue_code(asked, emulator.ledger.user_of(key_hash), now)
    # OpenRouter knows an app by its callback's host, so the number follows from that.
    app_id = zlib.crc32(asked.app_name.encode()) % 1_000_000
    return jsonify({"data": {"id": code, "app_id": app_id, "created_at": iso_time(now)}})


def _read(body: dict[str, Any], now: float) -> AuthorizationRequest:
    try:
        asked = read_json(body)
    except InvalidAuthorization as error:
        raise APIError(400, f"Invalid request parameters: {error}") from None
    if asked.expires_at is not None and asked.expires_at <= now:
        raise APIError(400, "Invalid request parameters: expires_at is in the past")
    return asked


def _unknown_code(config: EmulatorConfig) -> APIError:
    if config.bad_code_style == "live":
        return APIError(400, "Invalid code")
    return APIError(403, "Invalid code or code_verifier")


def _check_pkce(
    record: CodeRecord, code_verifier: str | None, method: str | None, config: EmulatorConfig
) -> None:
    code_challenge = record.request.code_challenge
    if code_challenge is None:
        # RFC 9700 section 4.8.2: a verifier nobody asked for means that the challenge was
        # stripped on the way.
        if not config.lenient_pkce and (code_verifier is not None or method is not None):
            raise APIError(400, "Invalid code_challenge_method")
        return
    asked_method = record.request.code_challenge_method or CODE_CHALLENGE_METHODS[0]
    if method is not None and method != asked_method:
        raise APIError(400, "Invalid code_challenge_method")
    if code_verifier is None or not verifies(code_verifier, code_challenge, asked_method):
        raise APIError(403, "Invalid code or code_verifier")
