"""Billing: what every operation that costs money has in common, and ``/api/v1/generation``.

Source: https://openrouter.ai/docs/api-reference/get-a-generation
"""

from __future__ import annotations

from typing import Final

from flask import Blueprint, jsonify, request
from flask.typing import ResponseReturnValue

from .config import EmulatorConfig
from .emulator import Emulator, get_emulator
from .errors import APIError, spent_key_message
from .generations import Generation
from .oauth import require_key

bp: Final = Blueprint("billing", __name__)


@bp.get("/api/v1/generation")
def show_generation() -> ResponseReturnValue:
    """Return what an answer used and cost, to the account that paid for it."""
    key_hash = require_key()
    emulator = get_emulator()
    generation_id = request.args.get("id")
    if not generation_id:
        raise APIError(400)
    owner = emulator.ledger.user_of(key_hash)
    generation = emulator.generations.find(generation_id, owner)
    if generation is None:
        raise APIError(404, f"Generation {generation_id[:200]} not found")
    return jsonify({"data": generation.as_json()})


def require_credit(emulator: Emulator, key_hash: str) -> None:
    """Refuse a key whose limit is spent.

    :raises APIError: 402, or 403 if the settings say so.
    """
    now = emulator.now()
    remaining = emulator.ledger.remaining(key_hash, now)
    if remaining is not None and remaining <= 0:
        reset = emulator.ledger.key_info(key_hash, now)["limit_reset"]
        raise _spent_limit_error(emulator.config, reset or "total")


def charge(emulator: Emulator, key_hash: str, generation: Generation) -> None:
    """Charge an answer to the key, and store what it cost."""
    emulator.ledger.spend(key_hash, generation.cost, emulator.now())
    emulator.generations.add(generation)


def _spent_limit_error(config: EmulatorConfig, period: str) -> APIError:
    if config.spent_limit_status == 403:
        return APIError(403, spent_key_message(period))
    return APIError(402, metadata={"limit_source": "openrouter_credits"})
