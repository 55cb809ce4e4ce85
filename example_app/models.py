"""How to offer OpenRouter's models with their prices, from a list that all workers share."""

import json
import time
from typing import Any

from flask import Blueprint
from flask.typing import ResponseReturnValue

from flask_openrouter import OpenRouterError, current_openrouter, requires_openrouter_key
from flask_openrouter.errors import KeyRejectedError, TransportError

from . import money
from .database import get_database, transaction
from .problems import NETWORK, NO_MODELS, Refused
from .question import posted_json, whole
from .streams import place
from .visitor import account_id, own_history, recent_models, remember_model

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
    """Return ``{"models": [...], "first": the id to begin with, "recent": [ids used last]}``."""
    db = get_database()
    (read_at,) = db.execute("SELECT coalesce(min(read_at), 0) FROM model").fetchone()
    if time.time() - read_at >= FRESH:
        with place(account_id()):
            found, read_at = _read_models()
        with transaction(db):
            if read_at:
                db.execute("DELETE FROM model")
            db.executemany(
                "INSERT OR REPLACE INTO model VALUES (?, ?, ?, ?)",
                [(m["id"], m["name"], json.dumps(m), read_at) for m in found],
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
    data = posted_json()
    model_id, conversation_id = _member(data, "model"), _member(data, "conversation")
    known = get_database().execute("SELECT id FROM model")
    if model_id not in [row["id"] for row in known]:
        return {"message": "There is no such model."}, 400
    history = own_history()
    if conversation := history.find(conversation_id):
        history.change(conversation["id"], "model", model_id)
    remember_model(model_id)
    return "", 204


def _read_models() -> tuple[list[dict[str, Any]], float]:
    """Return OpenRouter's models, and the time, or 0 if a page failed. Raises :class:`Refused`."""
    found: list[dict[str, Any]] = []
    queries, read_at, problem = [""], time.time(), NO_MODELS
    try:
        for query in queries:
            response = current_openrouter.session.get(f"models{query}")
            response.raise_for_status()
            page = response.json()
            entries = _member(page, "data")
            found += filter(None, map(read_model, entries if isinstance(entries, list) else ()))
            # The address of the next page may be relative. Its query is what matters.
            _, mark, rest = str(_member(page, "links", "next") or "").partition("?")
            if rest and mark + rest not in queries and len(queries) < MAX_PAGES:
                queries.append(mark + rest)
    except KeyRejectedError:
        raise
    except (OpenRouterError, ValueError) as error:
        read_at, problem = 0, NETWORK if isinstance(error, TransportError) else NO_MODELS
    if not found:
        raise Refused(problem)
    return found, read_at


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
        "context": _rounded(length),
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
        # Some models also charge for each request.
        question = float(str(_member(pricing, "request") or 0))
    except ValueError:
        return ""
    if min(prompt, completion, question) < 0:
        return "Price varies"
    if not 0 < prompt + completion + question < 1e9:
        return ""
    tokens = f"{money.dollars(prompt)} in, {money.dollars(completion)} out"
    return f"{tokens}, {money.dollars(question)} a question" if question else tokens


def _rounded(count: Any) -> str:
    """Return 128,000 as 128K, and 1,048,576 as 1M. An impossible length is unknown: ``""``."""
    if type(count) is not int or not 0 < count < 1e9:
        return ""
    return f"{round(count / 1e6, 1):g}M" if count >= 999_500 else f"{max(count // 1000, 1)}K"
