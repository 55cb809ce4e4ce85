"""How to offer OpenRouter's models with their prices, from a list that all workers share."""

from __future__ import annotations

import json
import math
import time
from functools import lru_cache
from typing import Any

from flask import Blueprint, request
from flask.typing import ResponseReturnValue

from flask_openrouter import OpenRouterError, current_openrouter, requires_openrouter_key
from flask_openrouter.errors import InvalidAnswerError, KeyRejectedError, TransportError

from . import money
from .database import get_database
from .history import History
from .problems import NETWORK, NO_MODELS, Refused
from .question import whole
from .streams import get_streams
from .visitor import owner_id, recent_models, remember_model

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
    found = _catalogue()[1].get(model_id)
    name = str(found["name"]) if found else model_id
    return name.partition(": ")[2] or name


@bp.get("/models")
@requires_openrouter_key
def index() -> ResponseReturnValue:
    """Return ``{"models": [...], "first": id, "recent": [id, ...]}``.

    These are text models by name, the one to begin with, and those that this visitor used last.
    """
    read_at, models = _catalogue()
    if time.time() - read_at >= FRESH:
        try:
            with get_streams().place(current_openrouter.key_hash):
                models = _read_models()
        except KeyRejectedError:
            raise
        except Refused as refused:
            return refused.problem.as_response()
        except OpenRouterError as error:
            problem = NETWORK if isinstance(error, TransportError) else NO_MODELS
            return problem.as_response()
        values = (time.time(), json.dumps(models))
        get_database().execute("INSERT OR REPLACE INTO catalogue VALUES (1, ?, ?)", values)
    first = next((model_id for model_id in FIRST_CHOICES if model_id in models), next(iter(models)))
    return {"models": list(models.values()), "first": first, "recent": recent_models()}


@bp.post("/models/chosen")
@requires_openrouter_key
def choose() -> ResponseReturnValue:
    """Remember the chosen model, ``{"model": id, "conversation"?: id}``."""
    data = request.get_json(silent=True)
    model_id, conversation_id = _member(data, "model"), _member(data, "conversation")
    if not isinstance(model_id, str) or model_id not in _catalogue()[1]:
        return {"message": "There is no such model."}, 400
    if isinstance(conversation_id, str) and conversation_id.isascii():
        History(get_database(), owner_id()).change(conversation_id, "model", model_id)
    remember_model(model_id)
    return "", 204


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
    # Flask-OpenRouter's visitors pay: models whose tokens cost 0 may charge in other ways.
    is_free = model_id.endswith(":free") or model_id == "openrouter/free"
    shown = {
        "id": model_id,
        # The page shows a badge instead.
        "name": whole(name if isinstance(name, str) and name else model_id).removesuffix(" (free)"),
        "context": _rounded(length) if isinstance(length, int) and length > 0 else "",
        "price": "" if is_free else _price(entry),
        "free": is_free,
    }
    return {name: value for name, value in shown.items() if value}


def _read_models() -> dict[str, dict[str, Any]]:
    """Return the models of all pages of OpenRouter's list. Raises an OpenRouterError."""
    found: list[dict[str, Any]] = []
    mark = query = ""
    for _ in range(MAX_PAGES):
        response = current_openrouter.session.get(f"models{mark}{query}")
        response.raise_for_status()
        try:
            page = response.json()
        except ValueError:
            page = None
        entries = _member(page, "data")
        found += filter(None, map(read_model, entries if isinstance(entries, list) else ()))
        # The address of the next page may be relative. Its query is what matters.
        _, mark, query = str(_member(page, "links", "next") or "").partition("?")
        if not query:
            break
    if not found:
        raise InvalidAnswerError("OpenRouter lists no model")
    return {model["id"]: model for model in sorted(found, key=lambda m: str(m["name"]).casefold())}


def _catalogue() -> tuple[float, dict[str, dict[str, Any]]]:
    """Return when the list was read, and its models by id. All workers share it."""
    row = get_database().execute("SELECT read_at, models FROM catalogue").fetchone()
    return (row["read_at"], _parsed(row["models"])) if row else (0.0, {})


@lru_cache(maxsize=1)
def _parsed(models: str) -> dict[str, dict[str, Any]]:
    parsed: dict[str, dict[str, Any]] = json.loads(models)
    return parsed


def _member(data: Any, *names: str) -> Any:
    """Return a member of nested JSON objects, or None."""
    for name in names:
        data = data.get(name) if isinstance(data, dict) else None
    return data


def _price(entry: Any) -> str:
    """Return a price in USD per million tokens, or ``""`` if OpenRouter does not tell it."""
    try:
        prompt, completion = (
            float(str(_member(entry, "pricing", name))) * 1e6 for name in ("prompt", "completion")
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
