"""The models that the chats of OpenRouter's documentation and of its SDKs' READMEs use.

An example that is copied with another base URL finds its model. Prices and sizes are rough.

Source: https://openrouter.ai/docs and the packages ``openrouter`` and ``@openrouter/sdk``
"""

from __future__ import annotations

from typing import Final

from .model import Model

_SEES: Final = ("text", "image")


def _model(
    model_id: str,
    name: str,
    context_length: int,
    prompt_price: float,
    completion_price: float,
    *,
    reasoning: str = "",
    sees: bool = False,
) -> Model:
    tokenizer = {"openai": "GPT", "anthropic": "Claude", "google": "Gemini"}
    return Model(
        model_id,
        name,
        tokenizer.get(model_id.partition("/")[0], "Other"),
        context_length,
        prompt_price,
        completion_price,
        input_modalities=_SEES if sees else ("text",),
        reasoning=reasoning,
    )


def _thinking(model_id: str, name: str, size: int, prompt: float, completion: float) -> Model:
    """Return a model that reads pictures and thinks on demand."""
    return _model(model_id, name, size, prompt, completion, reasoning="optional", sees=True)


DOCUMENTED_MODELS: Final[tuple[Model, ...]] = (
    _model("openai/gpt-4", "OpenAI: GPT-4", 8_191, 30, 60),
    _model("openai/gpt-4.1", "OpenAI: GPT-4.1", 1_047_576, 2, 8, sees=True),
    _thinking("openai/gpt-5", "OpenAI: GPT-5", 400_000, 1.25, 10),
    _thinking("openai/gpt-5-mini", "OpenAI: GPT-5 Mini", 400_000, 0.25, 2),
    _thinking("openai/gpt-5.2", "OpenAI: GPT-5.2", 400_000, 1.75, 14),
    _model(
        "openai/o4-mini", "OpenAI: o4 Mini", 200_000, 1.1, 4.4, reasoning="mandatory", sees=True
    ),
    _model("openai/gpt-oss-20b", "OpenAI: gpt-oss-20b", 131_072, 0.03, 0.14, reasoning="optional"),
    _model("anthropic/claude-3-sonnet", "Anthropic: Claude 3 Sonnet", 200_000, 3, 15, sees=True),
    _model(
        "anthropic/claude-3.5-sonnet", "Anthropic: Claude 3.5 Sonnet", 200_000, 3, 15, sees=True
    ),
    _thinking("anthropic/claude-sonnet-4", "Anthropic: Claude Sonnet 4", 1_000_000, 3, 15),
    # The same model as claude-sonnet-4.5: the README of the Python SDK writes it like this.
    _thinking("anthropic/claude-4.5-sonnet", "Anthropic: Claude 4.5 Sonnet", 1_000_000, 3, 15),
    _thinking("anthropic/claude-sonnet-4.6", "Anthropic: Claude Sonnet 4.6", 1_000_000, 3, 15),
    _thinking("anthropic/claude-sonnet-5", "Anthropic: Claude Sonnet 5", 1_000_000, 3, 15),
    _thinking("anthropic/claude-haiku-4.5", "Anthropic: Claude Haiku 4.5", 200_000, 1, 5),
    _thinking("anthropic/claude-opus-4.5", "Anthropic: Claude Opus 4.5", 200_000, 5, 25),
    _thinking("anthropic/claude-opus-4.8", "Anthropic: Claude Opus 4.8", 1_000_000, 5, 25),
    _thinking("anthropic/claude-opus-5", "Anthropic: Claude Opus 5", 1_000_000, 5, 25),
    _thinking("google/gemini-3-flash-preview", "Google: Gemini 3 Flash", 1_048_576, 0.5, 3),
    _thinking("google/gemini-3.1-pro-preview", "Google: Gemini 3.1 Pro", 1_048_576, 2, 12),
    _thinking(
        "google/gemini-3.1-flash-lite", "Google: Gemini 3.1 Flash Lite", 1_048_576, 0.25, 1.5
    ),
    _model(
        "deepseek/deepseek-r1-0528", "DeepSeek: R1 0528", 163_840, 0.5, 2.15, reasoning="mandatory"
    ),
    _model("deepseek/deepseek-v3.2", "DeepSeek: V3.2", 163_840, 0.26, 0.38, reasoning="optional"),
    _model("meta-llama/llama-3.3-70b-instruct", "Meta: Llama 3.3 70B", 131_072, 0.1, 0.32),
    _model("meta-llama/llama-3.2-3b-instruct", "Meta: Llama 3.2 3B", 131_072, 0.02, 0.02),
    _model("minimax/minimax-m2", "MiniMax: M2", 196_608, 0.26, 1, reasoning="optional"),
    _model("moonshotai/kimi-k2-0905", "MoonshotAI: Kimi K2 0905", 262_144, 0.4, 2),
    _model("qwen/qwen3-max", "Qwen: Qwen3 Max", 262_144, 0.78, 3.9),
    _model("x-ai/grok-4.1-fast", "xAI: Grok 4.1 Fast", 2_000_000, 0.2, 0.5, reasoning="optional"),
    _model("z-ai/glm-4.7", "Z.ai: GLM 4.7", 202_752, 0.4, 1.5, reasoning="optional"),
)
