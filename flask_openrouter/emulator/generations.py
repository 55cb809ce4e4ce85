"""The generations: what each answer used and cost, for ``GET /api/v1/generation``.

Source: https://openrouter.ai/docs/api-reference/get-a-generation
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from dataclasses import dataclass
from typing import Any

from .ledger import iso_time

MAX_GENERATIONS = 10_000
#: The name of the only provider.
PROVIDER = "Emulator"


@dataclass(frozen=True, kw_only=True)
class Generation:
    """One answer after it was charged. ``cost`` is in USD, ``seconds`` in seconds."""

    id: str
    key_owner: str | None
    model: str
    router: str | None
    api_type: str
    created: float
    seconds: float
    cost: float
    prompt_tokens: int
    completion_tokens: int
    reasoning_tokens: int = 0
    images: int = 0
    search_results: int | None = None
    finish_reason: str | None
    streamed: bool
    cancelled: bool = False
    referer: str | None = None
    user_agent: str | None = None

    def as_json(self) -> dict[str, Any]:
        """Return ``data`` of ``GET /api/v1/generation``."""
        milliseconds = round(self.seconds * 1000)
        return {
            "id": self.id,
            "upstream_id": None,
            "total_cost": self.cost,
            "usage": self.cost,
            "upstream_inference_cost": None,
            "cache_discount": None,
            "created_at": iso_time(self.created),
            "model": self.model,
            "router": self.router,
            "app_id": None,
            "streamed": self.streamed,
            "cancelled": self.cancelled,
            "provider_name": PROVIDER,
            "latency": milliseconds,
            "moderation_latency": None,
            "generation_time": milliseconds,
            "finish_reason": self.finish_reason,
            "native_finish_reason": self.finish_reason,
            "tokens_prompt": self.prompt_tokens,
            "tokens_completion": self.completion_tokens,
            "native_tokens_prompt": self.prompt_tokens,
            "native_tokens_completion": self.completion_tokens,
            "native_tokens_completion_images": self.images,
            "native_tokens_reasoning": self.reasoning_tokens,
            "native_tokens_cached": 0,
            "num_media_prompt": None,
            "num_input_audio_prompt": None,
            "num_media_completion": self.images,
            "num_search_results": self.search_results,
            "num_fetches": None,
            "web_search_engine": None,
            "origin": self.referer or "",
            "http_referer": self.referer,
            "user_agent": self.user_agent,
            "is_byok": False,
            "api_type": self.api_type,
            "external_user": None,
            "session_id": None,
            "request_id": None,
            "service_tier": None,
            "preset_id": None,
            "workspace_id": None,
            "data_region": "global",
            "provider_responses": None,
            "response_cache_source_id": None,
        }


class Generations:
    """The last generations, by id."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._generations: OrderedDict[str, Generation] = OrderedDict()

    def add(self, generation: Generation) -> None:
        """Store a generation."""
        with self._lock:
            self._generations[generation.id] = generation
            while len(self._generations) > MAX_GENERATIONS:
                self._generations.popitem(last=False)

    def find(self, generation_id: str, key_owner: str | None) -> Generation | None:
        """Return a generation that a key of this account made, or ``None``."""
        with self._lock:
            generation = self._generations.get(generation_id)
        return generation if generation and generation.key_owner == key_owner else None

    def clear(self) -> None:
        """Drop every generation."""
        with self._lock:
            self._generations.clear()
