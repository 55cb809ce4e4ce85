"""One model of OpenRouter's list, and the reader of models that a setting describes."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

_CREATED = 1_750_000_000
_MAX_COMPLETION = 32_768
#: The prices of a model that a setting describes without prices, in USD per million tokens.
_USUAL_PRICES = (0.15, 0.6)
_PARAMETERS = (
    "frequency_penalty",
    "include_reasoning",
    "max_tokens",
    "presence_penalty",
    "reasoning",
    "response_format",
    "seed",
    "stop",
    "structured_outputs",
    "temperature",
    "tool_choice",
    "tools",
    "top_p",
)
#: The form of an id: ``author/name``, with a variant or without.
MODEL_ID: Final = re.compile(r"~?[^\s/:]+/[^\s/:]+(?::[^\s/:]+)?")


@dataclass(frozen=True)
class Model:
    """One model. Prices are in USD per million tokens.

    :param prompt_price: -1 for a router: the model that it chooses sets the price.
    :param output_price: USD for each answer, whatever its length; the list does not show it.
    :param reasoning: ``""``, ``"optional"`` or ``"mandatory"``.
    :param target: the model behind a router or an alias.
    :param dimensions: length of the vectors of an embedding model, 0 for all others.
    """

    id: str
    name: str
    tokenizer: str
    context_length: int
    prompt_price: float
    completion_price: float
    output_price: float = 0.0
    input_modalities: tuple[str, ...] = ("text",)
    output_modalities: tuple[str, ...] = ("text",)
    reasoning: str = ""
    target: Model | None = None
    expiration_date: str | None = None
    dimensions: int = 0

    @property
    def short_name(self) -> str:
        """The name without its maker."""
        return self.name.split(": ")[-1]

    @property
    def is_alias(self) -> bool:
        """Whether the id follows the newest model of its maker: ``~author/...-latest``."""
        return self.id.startswith("~")

    def cost(self, prompt_tokens: int, completion_tokens: int) -> float:
        """Return the price of a completion in USD."""
        prompt = prompt_tokens * self.prompt_price
        tokens = (prompt + completion_tokens * self.completion_price) / 1_000_000
        return round(tokens + self.output_price, 10)

    def as_json(self) -> dict[str, Any]:
        """Return the ``Model`` object of OpenRouter's API."""
        modality = f"{'+'.join(self.input_modalities)}->{'+'.join(self.output_modalities)}"
        entry: dict[str, Any] = {
            "id": self.id,
            "canonical_slug": self.id,
            "name": self.name,
            "created": _CREATED,
            "description": self._description(),
            "context_length": self.context_length,
            "architecture": {
                "modality": modality,
                "input_modalities": list(self.input_modalities),
                "output_modalities": list(self.output_modalities),
                "tokenizer": self.tokenizer,
                "instruct_type": None,
            },
            "pricing": {
                "prompt": per_token(self.prompt_price),
                "completion": per_token(self.completion_price),
                "request": "0",
                "image": "0",
            },
            "top_provider": {
                "context_length": self.context_length,
                "max_completion_tokens": None if self.dimensions else _MAX_COMPLETION,
                "is_moderated": False,
            },
            "per_request_limits": None,
            "supported_parameters": self.parameters(),
            "supported_voices": None,
            "default_parameters": None,
            "hugging_face_id": None,
            "knowledge_cutoff": None,
            "expiration_date": self.expiration_date,
            "links": {"details": f"/api/v1/models/{self.id}/endpoints"},
        }
        if self.reasoning:
            entry["reasoning"] = {
                "mandatory": self.reasoning == "mandatory",
                "default_enabled": self.reasoning == "mandatory",
            }
        if self.is_alias and self.target is not None:
            entry["alias_target"] = {"slug": self.target.id, "name": self.target.name}
        return entry

    def parameters(self) -> list[str]:
        """Return the names of the request parameters that the model supports."""
        if self.dimensions:
            return []
        thinking = {"include_reasoning", "reasoning"}
        return [name for name in _PARAMETERS if self.reasoning or name not in thinking]

    def _description(self) -> str:
        text = f"An emulated {self.name}: its answers are made up on this machine."
        return f"{text} ${self.output_price:.2f} for each answer." if self.output_price else text


def model_from(entry: str | Mapping[str, Any]) -> Model:
    """Return the model that a setting describes: an id, or an entry as OpenRouter lists them.

    Of an entry, ``id``, ``name``, ``context_length``, ``expiration_date`` and the ``prompt`` and
    ``completion`` of ``pricing`` (strings, USD for one token) are read. All but ``id`` may be
    missing.

    :raises ValueError: if the id is not ``author/name``, or a value has the wrong type.
    """
    members = {"id": entry} if isinstance(entry, str) else entry
    if not isinstance(members, Mapping):
        raise ValueError("a model must be an id, or an object with an id")
    model_id, expiration = members.get("id"), members.get("expiration_date")
    if not isinstance(model_id, str) or not MODEL_ID.fullmatch(model_id):
        raise ValueError("the id of a model must be author/name")
    name, context_length = members.get("name", model_id), members.get("context_length", 128_000)
    if not isinstance(name, str) or not isinstance(expiration, (str, type(None))):
        raise ValueError("name and expiration_date of a model must be strings")
    if type(context_length) is not int or context_length < 1:
        raise ValueError("context_length of a model must be a positive integer")
    pricing: object = members.get("pricing", {})
    if not isinstance(pricing, Mapping):
        raise ValueError("pricing of a model must be an object")
    usual_prices = (0, 0) if model_id.endswith(":free") else _USUAL_PRICES
    return Model(
        model_id,
        name,
        "Other",
        context_length,
        _price(pricing.get("prompt"), usual_prices[0]),
        _price(pricing.get("completion"), usual_prices[1]),
        expiration_date=expiration,
    )


def per_token(price: float) -> str:
    """Return a price for a million tokens as OpenRouter lists it: a string, for one token."""
    if price < 0:
        return "-1"
    return f"{price / 1_000_000:.10f}".rstrip("0").rstrip(".")


def _price(value: object, default: float) -> float:
    if value is None:
        return default
    try:
        price = float(value) if isinstance(value, (str, int, float)) else math.nan
    except ValueError:
        price = math.nan
    if not math.isfinite(price) or not (price >= 0 or price == -1):
        raise ValueError("a price must be USD for one token, or -1")
    return price * 1_000_000 if price > 0 else price
