"""How to offer OpenRouter's models with their prices, from a list that all workers share."""

from __future__ import annotations

import json
import math
import time
from typing import Any

from flask import Blueprint, Flask, current_app, request
from flask.typing import ResponseReturnValue

from flask_openrouter import OpenRouterError, current_openrouter, requires_openrouter_key
from flask_openrouter.errors import InvalidAnswerError, KeyRejectedError, TransportError

from . import money
from .database import get_database
from .history import History
from .problems import NETWORK, NO_MODELS, Refused
from .question import whole
from .streams import get_streams
from .visitor import choose_model, owner_id, recent_models

#: Seconds for which a list counts as fresh.
FRESH = 600.0
#: Most pages of the list that are read.
MAX_PAGES = 20
#: Models for a new visitor, in order of preference: OpenRouter's own choice for each question, or
#: a cheap and well-known model.
FIRST_CHOICES = ("openrouter/auto", "openai/gpt-4o-mini")

bp = Blueprint("models", __name__)


class Catalogue:
    """OpenRouter's list of models by id, the same for all visitors and fresh for ten minutes.

    It is in the database, so that all workers share it. Each worker caches the parsed models.
    """

    def __init__(self) -> None:
        self._models: dict[str, dict[str, Any]] = {}
        self._read_at = 0.0

    def keep(self, models: dict[str, dict[str, Any]]) -> None:
        """Store a new list."""
        self._read_at, self._models = time.time(), models
        get_database().execute(
            "INSERT INTO catalogue VALUES (1, ?, ?) ON CONFLICT (id) DO UPDATE"
            " SET read_at = excluded.read_at, models = excluded.models",
            (self._read_at, json.dumps(models)),
        )

    def fresh(self) -> dict[str, dict[str, Any]] | None:
        """Return the list, or None if it is missing or too old."""
        self._catch_up()
        is_fresh = self._models and time.time() - self._read_at < FRESH
        return self._models if is_fresh else None

    def find(self, model_id: str) -> dict[str, Any] | None:
        """Return a model of the latest list, regardless of its age."""
        if model_id not in self._models:
            self._catch_up()
        return self._models.get(model_id)

    def _catch_up(self) -> None:
        query = "SELECT read_at, models FROM catalogue WHERE read_at > ?"
        row = get_database().execute(query, (self._read_at,)).fetchone()
        if row is not None:
            self._read_at, self._models = row["read_at"], json.loads(row["models"])


def init_app(app: Flask) -> None:
    """Give the app its catalogue."""
    app.extensions["catalogue"] = Catalogue()


def model_name(model_id: str) -> str:
    """Return the name of a model without asking OpenRouter, or its id if the name is unknown."""
    found = _catalogue().find(model_id)
    name = str(found["name"]) if found else model_id
    return name.partition(": ")[2] or name


@bp.get("/models")
@requires_openrouter_key
def index() -> ResponseReturnValue:
    """Return ``{"models": [...], "first": id, "recent": [id, ...]}``.

    These are text models by name, the one to begin with, and those that this visitor used last.
    """
    models = _catalogue().fresh()
    if models is None:
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
        _catalogue().keep(models)
    first = next((model_id for model_id in FIRST_CHOICES if model_id in models), next(iter(models)))
    recent = recent_models(get_database(), owner_id())
    return {"models": list(models.values()), "first": first, "recent": recent}


@bp.post("/models/chosen")
@requires_openrouter_key
def choose() -> ResponseReturnValue:
    """Remember the chosen model, ``{"model": id, "conversation"?: id}``."""
    data = request.get_json(silent=True)
    model_id, conversation_id = _member(data, "model"), _member(data, "conversation")
    if not isinstance(model_id, str) or _catalogue().find(model_id) is None:
        return {"message": "There is no such model."}, 400
    db, owner = get_database(), owner_id()
    if isinstance(conversation_id, str) and conversation_id.isascii():
        History(db, owner).change(conversation_id, model=model_id)
    choose_model(db, owner, model_id, model_name(model_id))
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


def _catalogue() -> Catalogue:
    catalogue: Catalogue = current_app.extensions["catalogue"]
    return catalogue


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
