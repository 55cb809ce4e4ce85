"""The pages of an account's owner: the keys, what they spent, and the button that deletes one."""

from __future__ import annotations

from typing import Final

from flask import Blueprint, redirect, request
from flask.typing import ResponseReturnValue

from .consent import content_security_policy, is_own_form, message_page, page
from .emulator import get_emulator

bp: Final = Blueprint("console", __name__)


@bp.get("/")
@bp.get("/settings/keys", endpoint="keys")
@bp.get("/settings/credits", endpoint="credits")
@bp.get("/logs", endpoint="logs")
@bp.get("/keys/<key_hash>", endpoint="key")
def index(key_hash: str | None = None) -> ResponseReturnValue:
    """Show the keys that were issued, or one of them."""
    emulator = get_emulator()
    wanted = key_hash or request.args.get("api_key_hash")
    keys = [key for key in emulator.ledger.keys(emulator.now()) if wanted in (None, key["hash"])]
    if wanted is not None and not keys:
        return message_page(404, "No such key", "This emulator has not issued it.")
    answer = page("index.html", base_url=request.host_url.rstrip("/"), keys=keys)
    answer.headers["Content-Security-Policy"] = content_security_policy("'self'")
    return answer


@bp.post("/keys/<key_hash>")
def delete(key_hash: str) -> ResponseReturnValue:
    """Delete a key, as its owner does at OpenRouter: apps that use it get 401 from now on."""
    if not is_own_form():
        return message_page(403, "This form was sent from elsewhere", "Nothing was deleted.")
    try:
        get_emulator().ledger.revoke(key_hash)
    except LookupError:
        return message_page(404, "No such key", "This emulator has not issued it.")
    return redirect("/settings/keys", code=303)
