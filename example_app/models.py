"""How to offer OpenRouter's models with their prices, from a list that all workers share."""

import json
import math
import time
from typing import Any

from flask import Blueprint, request
from flask.typing import ResponseReturnValue

from flask_openrouter import OpenRouterError, current_openrouter, requires_openrouter_key
from flask_openrouter.errors import KeyRejectedError, TransportError

from . import money
from .database import get_database, transaction
from .problems import NETWORK, NO_MODELS, Refused
from .question import whole
from .streams import get_streams
from .visitor import own_history, recent_models, remember_model

#: Seconds for which a list counts as fresh.
FRESH = 600.0
#: Most pages of the list that are read.
MAX_PAGES = 20
#: Models for a new visitor, in order of preference: OpenRouter's own choice for each question, or
#: a cheap and well-known model.
FIRST_CHOICES = ("openrouter/auto", "openai/gpt-4o-mini")

bp = Blueprint("models", __name__)


def model_name(model_id: str) -> str:
    """Return the name of a model without asking OpenRouter, or its id if the name is unknown."""
    found = get_database().execute("SELECT name FROM model WHERE id = ?", (model_id,)).fetchone()
    name = str(found["name"]) if found else model_id
    return name.partition(": ")[2] or name


@bp.get("/models")
@requires_openrouter_key
def index() -> ResponseReturnValue:
    """Return ``{"models": [...], "first": id, "recent": [id, ...]}``.

    These are text models by name, the one to begin with, and those that this visitor used last.
    """
    db = get_database()
    (read_at,) = db.execute("SELECT coalesce(min(read_at), 0) FROM model").fetchone()
    if time.time() - read_at >= FRESH:
        with get_streams().place(current_openrouter.key_hash):
            found = _read_models()
        with transaction(db):
            db.execute("DELETE FROM model")
            db.executemany(
                "INSERT OR REPLACE INTO model VALUES (?, ?, ?, ?)",
                [(m["id"], m["name"], json.dumps(m), time.time()) for m in found],
            )
    rows = db.execute("SELECT shown FROM model ORDER BY name COLLATE NOCASE")
    models = [json.loads(row["shown"]) for row in rows]
    ids = [model["id"] for model in models]
    first = next((model_id for model_id in FIRST_CHOICES if model_id in ids), ids[0])
    return {"models": models, "first": first, "recent": recent_models()}


@bp.post("/models/chosen")
@requires_openrouter_key
def choose() -> ResponseReturnValue:
    """Remember the chosen model, ``{"model": id, "conversation"?: id}``."""
    data = request.get_json(silent=True)
    model_id, conversation_id = _member(data, "model"), _member(data, "conversation")
    known = get_database().execute("SELECT id FROM model")
    if model_id not in [row["id"] for row in known]:
        return {"message": "There is no such model."}, 400
    history = own_history()
    if conversation := history.find(conversation_id):
        history.change(conversation["id"], "model", model_id)
    remember_model(model_id)
    return "", 204


def _read_models() -> list[dict[str, Any]]:
    """Return the models of all pages of OpenRouter's list. Raises :class:`Refused`."""
    found: list[dict[str, Any]] = []
    query = ""
    try:
        for _ in range(MAX_PAGES):
            response = current_openrouter.session.get(f"models{query}")
            response.raise_for_status()
            page = response.json()
            entries = _member(page, "data")
            found += filter(None, map(read_model, entries if isinstance(entries, list) else ()))
            # The address of the next page may be relative. Its query is what matters.
            _, mark, rest = str(_member(page, "links", "next") or "").partition("?")
            query = mark + rest
            if not rest:
                break
    except KeyRejectedError:
        raise
    except TransportError as error:
        raise Refused(NETWORK) from error
    except (OpenRouterError, ValueError) as error:
        raise Refused(NO_MODELS) from error
    if not found:
        raise Refused(NO_MODELS)
    return found


def read_model(entry: Any) -> dict[str, Any] | None:
    """Return an entry of OpenRouter's list for the picker, without what is empty: models are many.

    None: it writes no text, or it is not an entry.
    """
    model_id, name, length = (_member(entry, each) for each in ("id", "name", "context_length"))
    if not isinstance(model_id, str) or not model_id or not model_id.isascii():
        return None
    outputs = _member(entry, "architecture", "output_modalities")
    if isinstance(outputs, list) and "text" not in outputs:
        return None
    # Models whose tokens cost 0 may charge in other ways.
    is_free = model_id.endswith(":free") or model_id == "openrouter/free"
    shown = {
        "id": model_id,
        # The page shows a badge instead.
        "name": whole(name if isinstance(name, str) and name else model_id).removesuffix(" (free)"),
        "context": _rounded(length) if isinstance(length, int) and length > 0 else "",
        "price": "" if is_free else _price(_member(entry, "pricing")),
        "free": is_free,
    }
    return {name: value for name, value in shown.items() if value}


def _member(data: Any, *names: str) -> Any:
    """Return a member of nested JSON objects, or None."""
    for name in names:
        data = data.get(name) if isinstance(data, dict) else None
    return data


def _price(pricing: Any) -> str:
    """Return a price in USD per million tokens, or ``""`` if OpenRouter does not tell it."""
    try:
        prompt, completion = (
            float(str(_member(pricing, name))) * 1e6 for name in ("prompt", "completion")
        )
    except ValueError:
        return ""
    if min(prompt, completion) < 0:
        return "Price varies"
    if not 0 < prompt + completion < math.inf:
        return ""
    return f"{money.dollars(prompt)} in, {money.dollars(completion)} out"


def _rounded(count: int) -> str:
    """Return 128,000 as 128K, and 1,048,576 as 1M."""
    return f"{count / 1e6:.2g}M" if count >= 999_500 else f"{max(count // 1000, 1)}K"
