"""Codes into keys (``/api/v1/auth/keys``), keys into codes (``.../code``), and ``/api/v1/key``."""

from __future__ import annotations

import zlib
from typing import Any, Final

from flask import Blueprint, jsonify, request
from flask.typing import ResponseReturnValue

from .authorization import (
    CODE_CHALLENGE_METHODS,
    AuthorizationRequest,
    InvalidAuthorization,
    read_json,
    verifies,
)
from .config import EmulatorConfig
from .emulator import get_emulator
from .errors import (
    TOO_SHORT,
    APIError,
    MalformedJSON,
    ZodError,
    invalid_choice,
    invalid_type,
    load_json,
    read_json_object,
)
from .ledger import CodeRecord, iso_time

EXCHANGE_PATH = "/api/v1/auth/keys"
#: What the emulated account has bought, in USD.
TOTAL_CREDITS = 1_000

bp: Final = Blueprint("oauth", __name__)


@bp.post(EXCHANGE_PATH)
def exchange() -> ResponseReturnValue:
    """Exchange an authorization code for a key.

    The code is spent even if the exchange fails, so that a ``code_verifier`` can only be
    guessed once. What the real OpenRouter does here is unknown.
    """
    emulator = get_emulator()
    config, now = emulator.config, emulator.now()
    code, code_verifier, method = _read_exchange(config)
    record = emulator.ledger.take_code(code)
    if record is None:
        raise _unknown_code(config)
    if now - record.issued_at >= config.code_max_age:
        raise APIError(403, "Authorization code expired")
    _check_pkce(record, code_verifier, method, config)
    api_key = emulator.ledger.issue_key(record.request, record.openrouter_user_id)
    return jsonify({"key": api_key, "user_id": record.openrouter_user_id})


@bp.post(f"{EXCHANGE_PATH}/code")
def create_code() -> ResponseReturnValue:
    """Create an authorization code for the owner of a key, without a consent page."""
    key_hash = require_key()
    emulator = get_emulator()
    config, now = emulator.config, emulator.now()
    if config.management_keys_only:
        raise APIError(403)
    authorization = _read_authorization(read_json_object(), now)
    if config.create_code_conflict:
        raise APIError(409)
    code = emulator.ledger.issue_code(authorization, emulator.ledger.user_of(key_hash), now)
    # OpenRouter identifies an app by its callback's host, so the number is derived from the host.
    app_id = zlib.crc32(authorization.app_name.encode()) % 1_000_000
    return jsonify({"data": {"id": code, "app_id": app_id, "created_at": iso_time(now)}})


@bp.get("/api/v1/key")
@bp.get("/api/v1/auth/key")
def key_info() -> ResponseReturnValue:
    """Describe the key of the request."""
    key_hash = require_key()
    emulator = get_emulator()
    return jsonify({"data": emulator.ledger.key_info(key_hash, emulator.now())})


@bp.get("/api/v1/credits")
def credit_balance() -> ResponseReturnValue:
    """Return the balance of the account, as seen live for ordinary keys.

    :raises APIError: 403 if only management keys may read it, as documented.
    """
    key_hash = require_key()
    emulator = get_emulator()
    if emulator.config.credits_style == "documented":
        raise APIError(403)
    usage = emulator.ledger.key_info(key_hash, emulator.now())["usage"]
    return jsonify({"data": {"total_credits": TOTAL_CREDITS, "total_usage": usage}})


def bearer_key() -> str | None:
    """Return the key in the ``Authorization`` header of the current request, if any."""
    scheme, _, credential = request.headers.get("Authorization", "").partition(" ")
    return credential.strip() or None if scheme.lower() == "bearer" else None


def require_key() -> str:
    """Return the hash of the live key that the current request carries.

    :raises APIError: 401 without a key, and for a key that is unknown, deleted or expired.
    """
    api_key = bearer_key()
    if api_key is None:
        raise APIError(401, "Missing Authentication header")
    emulator = get_emulator()
    key_hash = emulator.ledger.live_key(api_key, emulator.now())
    if key_hash is None:
        raise APIError(401, "User not found.")
    return key_hash


def _read_exchange(config: EmulatorConfig) -> tuple[str, str | None, str | None]:
    """Return code, code_verifier and method, checked before the code is looked at.

    :raises APIError: 400.
    """
    if config.bad_body_style == "documented":
        body = read_json_object()
        code, code_verifier = body.get("code"), body.get("code_verifier")
        method = body.get("code_challenge_method")
        if not isinstance(code, str) or not code or not isinstance(method, (str, type(None))):
            raise APIError(400)
        if "code_verifier" in body and not isinstance(code_verifier, str):
            raise APIError(400)
        return code, code_verifier, method
    try:
        body = load_json(request.get_data()) if request.is_json else {}
    except ValueError:
        raise MalformedJSON from None
    issues = _issues_of(body)
    if issues:
        raise ZodError(*issues)
    return body["code"], body.get("code_verifier"), body.get("code_challenge_method")


def _issues_of(body: Any) -> list[dict[str, Any]]:
    if not isinstance(body, dict):
        return [invalid_type(None, "object", _type_of(body))]
    issues = []
    if not isinstance(body.get("code"), str):
        issues.append(invalid_type("code", "string", _type_of(body.get("code", ...))))
    elif not body["code"]:
        issues.append(TOO_SHORT)
    if not isinstance(body.get("code_verifier", ""), str):
        issues.append(invalid_type("code_verifier", "string", _type_of(body["code_verifier"])))
    if body.get("code_challenge_method") not in (None, *CODE_CHALLENGE_METHODS):
        issues.append(invalid_choice("code_challenge_method", CODE_CHALLENGE_METHODS))
    return issues


def _type_of(value: object) -> str:
    """Return what JavaScript calls the type of a JSON value; ``...`` is a missing one."""
    if isinstance(value, bool):
        return "boolean"
    names: dict[type, str] = {
        type(...): "undefined",
        type(None): "null",
        int: "number",
        float: "number",
        str: "string",
        list: "array",
    }
    return names.get(type(value), "object")


def _read_authorization(body: dict[str, Any], now: float) -> AuthorizationRequest:
    try:
        authorization = read_json(body)
    except InvalidAuthorization as error:
        raise APIError(400, f"Invalid request parameters: {error}") from None
    if authorization.expires_at is not None and authorization.expires_at <= now:
        raise APIError(400, "Invalid request parameters: expires_at is in the past")
    return authorization


def _unknown_code(config: EmulatorConfig) -> APIError:
    if config.bad_code_style == "live":
        return APIError(400, "Invalid code")
    return APIError(403, "Invalid code or code_verifier")


def _check_pkce(
    record: CodeRecord, code_verifier: str | None, method: str | None, config: EmulatorConfig
) -> None:
    code_challenge = record.request.code_challenge
    if code_challenge is None:
        # RFC 9700 section 4.8.2: a verifier without a challenge means that the challenge was
        # removed from the authorization request.
        if not config.lenient_pkce and (code_verifier is not None or method is not None):
            raise APIError(400, "Invalid code_challenge_method")
        return
    expected_method = record.request.code_challenge_method or CODE_CHALLENGE_METHODS[0]
    if method is not None and method != expected_method:
        raise APIError(400, "Invalid code_challenge_method")
    if code_verifier is None or not verifies(code_verifier, code_challenge, expected_method):
        raise APIError(403, "Invalid code or code_verifier")
