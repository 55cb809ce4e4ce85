"""The models on offer: a handful, named and priced as their namesakes roughly are."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

_CREATED = 1_750_000_000


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
        """The name without its maker's."""
        return self.name.split(": ")[-1]

    def cost(self, prompt_tokens: int, completion_tokens: int) -> float:
        """Return the price of a conversation in USD."""
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
    """Return the model with this id."""
    return next((model for model in MODELS if model.id == model_id), None)


def _per_token(price: float) -> str:
    return f"{price / 1_000_000:.10f}".rstrip("0").rstrip(".")
