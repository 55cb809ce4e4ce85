"""OpenRouter's models with their prices, for the model picker."""

from __future__ import annotations

import json
import time
from dataclasses import astuple, dataclass
from typing import Any

from flask import Blueprint, Flask, current_app, request
from flask.typing import ResponseReturnValue

from flask_openrouter import current_openrouter, requires_openrouter_key
from flask_openrouter.errors import InvalidAnswerError, TransportError

from .database import get_database
from .history import History
from .problems import NETWORK, PROVIDER_DOWN, problem_for_status
from .visitor import owner_id

#: Seconds for which a list counts as fresh.
FRESH = 600.0
#: Models for a new visitor, in order of preference: OpenRouter's own choice for each question, or
#: a cheap and well-known model.
FIRST_CHOICES = ("openrouter/auto", "openai/gpt-4o-mini")

bp = Blueprint("models", __name__)


@dataclass(frozen=True)
class Model:
    """One model. Prices in USD per million tokens, or None if they vary."""

    id: str
    name: str
    context_length: int
    prompt_price: float | None
    completion_price: float | None

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> Model:
        """Read an entry of OpenRouter's list. Raises KeyError, TypeError or ValueError."""
        return cls(
            id=str(data["id"]),
            # The page shows a badge instead.
            name=str(data.get("name") or data["id"]).removesuffix(" (free)"),
            context_length=int(data.get("context_length") or 0),
            prompt_price=_per_million(data["pricing"]["prompt"]),
            completion_price=_per_million(data["pricing"]["completion"]),
        )

    @property
    def is_free(self) -> bool:
        """Whether both prompt and completion cost nothing."""
        return self.prompt_price == 0 and self.completion_price == 0

    def as_json(self) -> dict[str, object]:
        """Return the fields for the picker. Empty ones are left out, because models are many."""
        shown = {
            "id": self.id,
            "name": self.name,
            "context": _rounded(self.context_length) if self.context_length else "",
            "price": "" if self.is_free else self._price(),
            "free": self.is_free,
        }
        return {name: value for name, value in shown.items() if value}

    def _price(self) -> str:
        if self.prompt_price is None or self.completion_price is None:
            return "Price varies"
        prompt, completion = (
            f"${price:,.2f}" if price >= 0.01 else f"${price:.3g}"
            for price in (self.prompt_price, self.completion_price)
        )
        return f"{prompt} in, {completion} out"


class Catalogue:
    """OpenRouter's list of models, the same for all visitors and fresh for ten minutes.

    It is in the database, so that all workers share it. Each worker caches the parsed models.
    """

    def __init__(self) -> None:
        self._models: dict[str, Model] = {}
        self._read_at = 0.0

    def keep(self, models: list[Model]) -> None:
        """Store a new list."""
        self._read_at, self._models = time.time(), {model.id: model for model in models}
        get_database().execute(
            "INSERT INTO catalogue VALUES (1, ?, ?) ON CONFLICT (id) DO UPDATE"
            " SET read_at = excluded.read_at, models = excluded.models",
            (self._read_at, json.dumps([astuple(model) for model in models])),
        )

    def fresh(self) -> list[Model] | None:
        """Return the list, or None if it is missing or too old."""
        self._catch_up()
        is_fresh = self._models and time.time() - self._read_at < FRESH
        return list(self._models.values()) if is_fresh else None

    def find(self, model_id: str) -> Model | None:
        """Return a model of the latest list, regardless of its age."""
        if model_id not in self._models:
            self._catch_up()
        return self._models.get(model_id)

    def _catch_up(self) -> None:
        row = (
            get_database()
            .execute("SELECT read_at, models FROM catalogue WHERE read_at > ?", (self._read_at,))
            .fetchone()
        )
        if row is not None:
            models = [Model(*fields) for fields in json.loads(row["models"])]
            self._read_at, self._models = row["read_at"], {model.id: model for model in models}


def init_app(app: Flask) -> None:
    """Give the app its catalogue."""
    app.extensions["catalogue"] = Catalogue()


def model_name(model_id: str) -> str:
    """Return the name of a model without asking OpenRouter, or its id if the name is unknown."""
    found = _catalogue().find(model_id)
    name = found.name if found else model_id
    return name.partition(": ")[2] or name


@bp.get("/models")
@requires_openrouter_key
def index() -> ResponseReturnValue:
    """Return ``{"models": [...], "first": id}``: text models by name, and the one to begin with."""
    models = _catalogue().fresh()
    if models is None:
        try:
            response = current_openrouter.session.get("models")
            if response.status_code != 200:
                problem = problem_for_status(response.status_code)
                return problem.as_json(), problem.status
            models = _read_models(response.json())
        except TransportError:
            return NETWORK.as_json(), NETWORK.status
        except (InvalidAnswerError, LookupError, TypeError, AttributeError, ValueError):
            return PROVIDER_DOWN.as_json(), PROVIDER_DOWN.status
        _catalogue().keep(models)
    known = {model.id for model in models}
    first = next((model_id for model_id in FIRST_CHOICES if model_id in known), models[0].id)
    return {"models": [model.as_json() for model in models], "first": first}


@bp.post("/models/chosen")
@requires_openrouter_key
def choose() -> ResponseReturnValue:
    """Remember the chosen model, ``{"model": id}``."""
    data = request.get_json(silent=True)
    model_id = data.get("model") if isinstance(data, dict) else None
    if not isinstance(model_id, str) or _catalogue().find(model_id) is None:
        return {"message": "There is no such model."}, 400
    History(get_database(), owner_id()).choose_model(model_id, model_name(model_id))
    return "", 204


def _read_models(data: Any) -> list[Model]:
    models = [
        Model.from_json(entry)
        for entry in data["data"]
        if "text" in entry.get("architecture", {}).get("output_modalities", ["text"])
    ]
    if not models:
        raise ValueError("OpenRouter lists no model")
    return sorted(models, key=lambda model: model.name.casefold())


def _catalogue() -> Catalogue:
    catalogue: Catalogue = current_app.extensions["catalogue"]
    return catalogue


def _per_million(price: object) -> float | None:
    amount = float(str(price)) * 1_000_000
    return None if amount < 0 else round(amount, 6)


def _rounded(count: int) -> str:
    """Return 128,000 as 128K, and 1,048,576 as 1M."""
    return f"{count / 1e6:.2g}M" if count >= 999_500 else f"{max(count // 1000, 1)}K"
