"""The control API under ``/_emulator/``, for tests in another process or language.

It calls the methods of :class:`~flask_openrouter.emulator.Emulator` and returns JSON:

=============================== ===============================================================
``GET /_emulator/requests``     the recorded requests, secrets redacted; ``DELETE`` drops them
``POST /_emulator/faults``      a fault: its ``name``, members of ``Fault``, ``times``; ``GET``
                                lists the queue, ``DELETE`` drops it
``GET /_emulator/faults/names``  the named faults, each with a sentence
``POST /_emulator/keys``        a key without login: ``openrouter_user_id``, ``limit``, ``usage``;
                                ``GET`` lists the issued keys by hash
``PATCH /_emulator/keys/<hash>``  ``limit`` and ``usage`` of a key; ``DELETE`` revokes it
``POST /_emulator/clock``       ``{"advance": seconds}``; ``GET`` returns the time
``PATCH /_emulator/config``     settings of ``EmulatorConfig``; ``GET`` lists them
``POST /_emulator/reset``       restores the initial state
=============================== ===============================================================

``<hash>`` is the key's SHA-256 in hexadecimal. Bodies must be JSON with that content type, and
requests from other origins are refused, so that no web page can control an emulator through a
browser.
"""

from __future__ import annotations

from typing import Any, Final

from flask import Blueprint, jsonify, request
from flask.typing import ResponseReturnValue

from .emulator import CONTROL_PREFIX, get_emulator
from .errors import APIError, read_json_object
from .named_faults import NAMED_FAULTS

bp: Final = Blueprint("control", __name__, url_prefix=CONTROL_PREFIX.rstrip("/"))


@bp.before_request
def refuse_other_origins() -> None:
    """Refuse requests that a browser sends for a page of another origin.

    :raises APIError: 403.
    """
    origin = request.headers.get("Origin", request.host_url.rstrip("/"))
    site = request.headers.get("Sec-Fetch-Site", "none")
    if origin != request.host_url.rstrip("/") or site not in ("none", "same-origin"):
        raise APIError(403, "The control API is not for web pages of other origins")


@bp.errorhandler(ValueError)
def bad_value_response(error: ValueError) -> ResponseReturnValue:
    """Return 400 with the reason."""
    return jsonify(APIError(400, str(error)).as_json()), 400


@bp.errorhandler(LookupError)
def not_found_response(error: LookupError) -> ResponseReturnValue:
    """Return 404 with the reason."""
    return jsonify(APIError(404, str(error)).as_json()), 404


@bp.get("/requests")
def list_requests() -> ResponseReturnValue:
    """List the recorded requests."""
    return jsonify({"data": [record.as_json() for record in get_emulator().requests]})


@bp.delete("/requests")
def drop_requests() -> ResponseReturnValue:
    """Drop the recorded requests."""
    get_emulator().journal.clear()
    return _done()


@bp.get("/faults")
def list_faults() -> ResponseReturnValue:
    """List the queued faults."""
    emulator = get_emulator()
    return jsonify({"data": [f.as_json() for f in emulator.fault_queue.faults(emulator.now())]})


@bp.get("/faults/names")
def list_named_faults() -> ResponseReturnValue:
    """List the named faults."""
    return jsonify(
        {"data": [{"name": name, "sentence": NAMED_FAULTS[name]} for name in NAMED_FAULTS]}
    )


@bp.post("/faults")
def add_fault() -> ResponseReturnValue:
    """Queue a fault."""
    get_emulator().add_fault(**read_json_object())
    return _done()


@bp.delete("/faults")
def drop_faults() -> ResponseReturnValue:
    """Drop the queued faults."""
    get_emulator().fault_queue.clear()
    return _done()


@bp.get("/keys")
def list_keys() -> ResponseReturnValue:
    """List the issued keys."""
    emulator = get_emulator()
    return jsonify({"data": emulator.ledger.keys(emulator.now())})


@bp.post("/keys")
def issue_key() -> ResponseReturnValue:
    """Issue a key without a login."""
    values = _members("openrouter_user_id", "limit", "usage", "key_label")
    return jsonify({"key": get_emulator().issue_key(**values)})


@bp.patch("/keys/<key_hash>")
def set_key(key_hash: str) -> ResponseReturnValue:
    """Set a key's limit and usage."""
    get_emulator().set_key_by_hash(key_hash, **_members("limit", "usage"))
    return _done()


@bp.delete("/keys/<key_hash>")
def revoke_key(key_hash: str) -> ResponseReturnValue:
    """Revoke a key."""
    get_emulator().ledger.revoke(key_hash)
    return _done()


@bp.get("/clock")
def show_time() -> ResponseReturnValue:
    """Return the emulator's time."""
    return jsonify({"now": get_emulator().now()})


@bp.post("/clock")
def advance_clock() -> ResponseReturnValue:
    """Move the clock forward."""
    get_emulator().advance_clock(_members("advance").get("advance", 0))
    return show_time()


@bp.get("/config")
def list_settings() -> ResponseReturnValue:
    """List the settings."""
    return jsonify(get_emulator().config.as_json())


@bp.patch("/config")
def change_settings() -> ResponseReturnValue:
    """Change settings."""
    get_emulator().configure(**_members(*get_emulator().config.as_json()))
    return list_settings()


@bp.post("/reset")
def reset() -> ResponseReturnValue:
    """Restore the initial state."""
    get_emulator().reset()
    return _done()


def _members(*names: str) -> dict[str, Any]:
    body = read_json_object()
    unknown = set(body) - set(names)
    if unknown:
        raise ValueError(f"unknown: {', '.join(sorted(unknown))}; known: {', '.join(names)}")
    return body


def _done() -> ResponseReturnValue:
    return jsonify({"ok": True})
