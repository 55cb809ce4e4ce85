"""The model catalogue, ``/api/v1/models``, and the answers that the models give.

There is a handful of models, named and priced roughly like the real ones. Their answers are made
up: friendly, and always the same to the same question.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from flask import Blueprint, jsonify, request
from flask.typing import ResponseReturnValue
from werkzeug.datastructures import MultiDict

from .errors import APIError
from .oauth import require_key

MAX_PAGE = 1_000

_CREATED = 1_750_000_000
_MAX_QUOTED = 280
_GREETING = re.compile(r"(?:hi|hello|hey|good (?:morning|evening|day)|hallo|hola|salut)\b", re.I)

bp: Final = Blueprint("catalogue", __name__)


@dataclass(frozen=True)
class Model:
    """One model. Prices are in USD per million tokens."""

    id: str
    name: str
    tokenizer: str
    context_length: int
    prompt_price: float
    completion_price: float

    @property
    def short_name(self) -> str:
        """The name without its maker."""
        return self.name.split(": ")[-1]

    def cost(self, prompt_tokens: int, completion_tokens: int) -> float:
        """Return the price of a completion in USD."""
        prompt = prompt_tokens * self.prompt_price
        return round((prompt + completion_tokens * self.completion_price) / 1_000_000, 10)

    def as_json(self) -> dict[str, Any]:
        """Return the ``Model`` object of OpenRouter's API."""
        return {
            "id": self.id,
            "canonical_slug": self.id,
            "name": self.name,
            "created": _CREATED,
            "description": f"An emulated {self.name}: its answers are made up on this machine.",
            "context_length": self.context_length,
            "architecture": {
                "modality": "text->text",
                "input_modalities": ["text"],
                "output_modalities": ["text"],
                "tokenizer": self.tokenizer,
                "instruct_type": None,
            },
            "pricing": {
                "prompt": _per_token(self.prompt_price),
                "completion": _per_token(self.completion_price),
                "request": "0",
                "image": "0",
            },
            "top_provider": {
                "context_length": self.context_length,
                "max_completion_tokens": 4096,
                "is_moderated": False,
            },
            "per_request_limits": None,
            "supported_parameters": ["max_tokens", "temperature", "top_p", "stop"],
            "supported_voices": None,
            "default_parameters": None,
            "hugging_face_id": None,
            "knowledge_cutoff": None,
            "expiration_date": None,
            "links": {"details": f"/api/v1/models/{self.id}/endpoints"},
        }


MODELS: tuple[Model, ...] = (
    Model("openai/gpt-4o-mini", "OpenAI: GPT-4o-mini", "GPT", 128_000, 0.15, 0.6),
    Model("openai/gpt-4o", "OpenAI: GPT-4o", "GPT", 128_000, 2.5, 10.0),
    Model(
        "anthropic/claude-sonnet-4.5", "Anthropic: Claude Sonnet 4.5", "Claude", 1_000_000, 3, 15
    ),
    Model("google/gemini-2.5-flash", "Google: Gemini 2.5 Flash", "Gemini", 1_048_576, 0.3, 2.5),
    Model("mistralai/mistral-nemo", "Mistral: Mistral Nemo", "Mistral", 131_072, 0.02, 0.04),
    Model("deepseek/deepseek-chat-v3.1", "DeepSeek: V3.1", "DeepSeek", 163_840, 0.2, 0.8),
    Model(
        "meta-llama/llama-3.3-70b-instruct:free",
        "Meta: Llama 3.3 70B Instruct (free)",
        "Llama3",
        131_072,
        0,
        0,
    ),
    Model(
        "mistralai/mistral-small-3.2-24b-instruct:free",
        "Mistral: Small 3.2 24B (free)",
        "Mistral",
        131_072,
        0,
        0,
    ),
)

DEFAULT_MODEL = MODELS[0]


def find_model(model_id: object) -> Model | None:
    """Return the model with this id, or ``None``."""
    return next((model for model in MODELS if model.id == model_id), None)


@bp.get("/api/v1/models")
def list_models() -> ResponseReturnValue:
    """List the models, with or without a key."""
    return _models_page(request.args)


@bp.get("/api/v1/models/user")
def list_models_of_user() -> ResponseReturnValue:
    """List the models that the owner of the key may use: here, all of them."""
    require_key()
    return _models_page(request.args)


def compose_answer(model: Model, messages: Sequence[Mapping[str, Any]]) -> str:
    """Return the answer to a conversation. It quotes the last user message verbatim."""
    texts = [text_of(message) for message in messages if message.get("role") == "user"]
    text = texts[-1].strip() if texts else ""
    quoted = text if len(text) <= _MAX_QUOTED else f"{text[:_MAX_QUOTED].rstrip()}…"
    closing = (
        f"This is an emulated answer: no model ran and nothing left your machine. The real "
        f"{model.short_name} would take it from here."
    )
    return f"{_opening(quoted)}{_reminder(len(texts))}\n\n{closing}"


def text_of(message: Mapping[str, Any]) -> str:
    """Return the text of a message. Its content is a string or a list of parts."""
    content = message.get("content")
    if isinstance(content, str):
        return content
    parts = content if isinstance(content, list) else []
    texts = (part.get("text") for part in parts if isinstance(part, Mapping))
    return " ".join(text for text in texts if isinstance(text, str))


def count_tokens(text: str) -> int:
    """Estimate how many tokens a text has: one for four characters, at least one."""
    return max(1, -(-len(text) // 4))


def split_into_words(text: str) -> list[str]:
    """Split an answer into the pieces of a stream. Joined, they are the text again."""
    return re.findall(r"\S+\s*|^\s+", text)


def _models_page(arguments: MultiDict[str, str]) -> ResponseReturnValue:
    offset = _whole_number(arguments.get("offset"), default=0, least=0)
    limit = _whole_number(arguments.get("limit"), default=MAX_PAGE, least=1)
    following = offset + limit
    next_page = f"{request.path}?offset={following}&limit={limit}"
    return jsonify(
        {
            "data": [model.as_json() for model in MODELS[offset:following]],
            "total_count": len(MODELS),
            "links": {"next": next_page if following < len(MODELS) else None},
        }
    )


def _whole_number(value: str | None, *, default: int, least: int) -> int:
    if value is None:
        return default
    # int() refuses more than 4,300 digits.
    if not (value.isascii() and value.isdigit() and len(value) <= 400) or int(value) < least:
        raise APIError(400)
    return min(int(value), MAX_PAGE) if least else int(value)


def _per_token(price: float) -> str:
    return f"{price / 1_000_000:.10f}".rstrip("0").rstrip(".")


def _opening(quoted: str) -> str:
    if not quoted:
        return "You sent me a message without words, so I have none to work with."
    if _GREETING.match(quoted):
        return f"Hello, and nice to meet you! You wrote “{quoted}”. What would you like to know?"
    if quoted.endswith("?"):
        return (
            f"Good question. You asked: “{quoted}” I cannot look anything up, but your question "
            "arrived whole, was paid for with your own key, and streamed back word by word."
        )
    return (
        f"Thank you. You wrote: “{quoted}” Your message arrived whole, and this is my reply to it."
    )


def _reminder(turns: int) -> str:
    return f" (That was message {turns} of our conversation.)" if turns > 1 else ""
