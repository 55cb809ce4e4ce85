"""The models that the emulator knows, and how a requested id finds the model that serves it.

There are a few models, named and priced roughly like the real ones. Ids that an app uses beyond
them are settings: :attr:`EmulatorConfig.models` and :attr:`EmulatorConfig.any_model`.

Source: https://openrouter.ai/docs/guides/routing/model-variants/overview
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Final

from .config import EmulatorConfig
from .documented_models import DOCUMENTED_MODELS
from .model import MODEL_ID, Model, model_from

#: Entries of their own in OpenRouter's list. Here, every model has them.
CATALOGUE_VARIANTS: Final = frozenset({"free", "thinking", "extended", "batch"})
#: They change how OpenRouter routes a request, and are in no list.
ROUTING_VARIANTS: Final = frozenset({"online", "nitro", "floor", "exacto"})
_MAX_ID = 200
#: Price of one web search, in USD.
SEARCH_PRICE: Final = 0.02

_SEES: Final = ("text", "image")
_GPT_MINI = Model("openai/gpt-4o-mini", "OpenAI: GPT-4o-mini", "GPT", 128_000, 0.15, 0.6)
_SONNET = Model(
    "anthropic/claude-sonnet-4.5",
    "Anthropic: Claude Sonnet 4.5",
    "Claude",
    1_000_000,
    3,
    15,
    input_modalities=_SEES,
    reasoning="optional",
)
_LLAMA_FREE = Model(
    "meta-llama/llama-3.3-70b-instruct:free",
    "Meta: Llama 3.3 70B Instruct (free)",
    "Llama3",
    131_072,
    0,
    0,
)
#: The models of ``GET /api/v1/models``.
MODELS: tuple[Model, ...] = (
    _GPT_MINI,
    Model("openai/gpt-4o", "OpenAI: GPT-4o", "GPT", 128_000, 2.5, 10.0, input_modalities=_SEES),
    _SONNET,
    Model(
        "google/gemini-2.5-flash",
        "Google: Gemini 2.5 Flash",
        "Gemini",
        1_048_576,
        0.3,
        2.5,
        input_modalities=_SEES,
        reasoning="optional",
    ),
    Model(
        "mistralai/mistral-nemo",
        "Mistral: Mistral Nemo",
        "Mistral",
        131_072,
        0.02,
        0.04,
        expiration_date="2027-06-30",
    ),
    Model(
        "deepseek/deepseek-chat-v3.1",
        "DeepSeek: V3.1",
        "DeepSeek",
        163_840,
        0.2,
        0.8,
        reasoning="optional",
    ),
    _LLAMA_FREE,
    Model(
        "mistralai/mistral-small-3.2-24b-instruct:free",
        "Mistral: Small 3.2 24B (free)",
        "Mistral",
        131_072,
        0,
        0,
    ),
    Model(
        "deepseek/deepseek-r1",
        "DeepSeek: R1",
        "DeepSeek",
        163_840,
        0.7,
        2.5,
        reasoning="mandatory",
    ),
    Model(
        "google/gemini-2.5-flash-image",
        "Google: Gemini 2.5 Flash Image",
        "Gemini",
        32_768,
        0.3,
        2.5,
        input_modalities=_SEES,
        output_modalities=("image", "text"),
    ),
    # Both listed prices are zero, and yet it is not free.
    Model(
        "google/lyria-3-clip-preview",
        "Google: Lyria 3 Clip Preview",
        "Gemini",
        1_048_576,
        0,
        0,
        output_price=0.08,
        output_modalities=("text", "audio"),
    ),
    Model("openrouter/auto", "Auto Router", "Router", 2_000_000, -1, -1, target=_GPT_MINI),
    Model("openrouter/free", "Free Models Router", "Router", 200_000, 0, 0, target=_LLAMA_FREE),
    replace(
        _SONNET,
        id="~anthropic/claude-sonnet-latest",
        name="Anthropic: Claude Sonnet Latest",
        target=_SONNET,
    ),
    replace(
        _GPT_MINI,
        id="~openai/gpt-mini-latest",
        name="OpenAI: GPT Mini Latest",
        target=_GPT_MINI,
    ),
    *DOCUMENTED_MODELS,
)
#: The models of ``GET /api/v1/embeddings/models``.
EMBEDDING_MODELS: tuple[Model, ...] = tuple(
    Model(
        f"openai/text-embedding-3-{size}",
        f"OpenAI: Text Embedding 3 {size.capitalize()}",
        "GPT",
        8_192,
        price,
        0,
        output_modalities=("embeddings",),
        dimensions=dimensions,
    )
    for size, price, dimensions in (("small", 0.02, 1536), ("large", 0.13, 3072))
)

DEFAULT_MODEL: Final = MODELS[0]


def listed_models(config: EmulatorConfig) -> list[Model]:
    """Return the models of ``GET /api/v1/models``: the emulator's and those of the settings."""
    added = {model.id: model for model in map(model_from, config.models)}
    return [*(added.pop(model.id, model) for model in MODELS), *added.values()]


def find_model(model_id: object, config: EmulatorConfig) -> Model | None:
    """Return the model that serves requests for an id, or ``None``.

    A router and an alias are served by their target. Routing variants are served by the model
    itself; catalogue variants are models of their own.
    """
    if not isinstance(model_id, str) or len(model_id) > _MAX_ID:
        return None
    found = _find(model_id, listed_models(config))
    if found is None and config.any_model:
        found = _unknown(model_id)
    return found


def find_embedding_model(model_id: object) -> Model | None:
    """Return the embedding model with this id, or ``None``."""
    return next((model for model in EMBEDDING_MODELS if model.id == model_id), None)


def _find(model_id: str, models: Sequence[Model]) -> Model | None:
    found = next((model for model in models if model.id == model_id), None)
    if found is not None:
        return found.target or found
    if model_id.startswith("~") and model_id.endswith("-latest"):
        author = model_id[1:].partition("/")[0]
        return next((model for model in models if model.id.startswith(f"{author}/")), None)
    base_id, _, variant = model_id.rpartition(":")
    if variant not in CATALOGUE_VARIANTS | ROUTING_VARIANTS:
        return None
    base = _find(base_id, models)
    return base if base is None else _variant_of(base, variant)


def _unknown(model_id: str) -> Model | None:
    base_id, _, variant = model_id.rpartition(":")
    if variant in ROUTING_VARIANTS:
        return _unknown(base_id)
    model = model_from(model_id) if MODEL_ID.fullmatch(model_id) else None
    return replace(model, reasoning="mandatory") if model and variant == "thinking" else model


def _variant_of(base: Model, variant: str) -> Model:
    if variant in ROUTING_VARIANTS:
        return base
    model_id = f"{base.id}:{variant}"
    if variant == "free":
        return replace(base, id=model_id, prompt_price=0, completion_price=0, output_price=0)
    if variant == "thinking":
        return replace(base, id=model_id, reasoning="mandatory")
    return replace(base, id=model_id)
