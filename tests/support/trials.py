"""Apps that let visitors without a key use the app's own."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from flask import Flask
from visitor import Visitor
from werkzeug.test import TestResponse

from flask_openrouter import current_openrouter, requires_openrouter_key
from flask_openrouter.emulator import Emulator

CHAT: dict[str, Any] = {
    "model": "openai/gpt-4o-mini",
    "messages": [{"role": "user", "content": "Hello?"}],
}
SCRIPT = {"Sec-Fetch-Mode": "cors"}


def ask() -> dict[str, Any]:
    """Ask a model, as a view does."""
    reply = current_openrouter.session.post("chat/completions", json=CHAT)
    reply.raise_for_status()
    return {
        "fallback": current_openrouter.is_fallback,
        "connected": bool(current_openrouter),
        "text": reply.json()["choices"][0]["message"]["content"],
    }


@dataclass
class Trial:
    """An app, its own key, and how often its function for that key was called."""

    app: Flask
    emulator: Emulator
    api_key: str
    calls: int = 0
    #: What the function returns.
    give: Callable[[], Any] = field(default=lambda: None)

    @property
    def visitor(self) -> Visitor:
        """A new browser."""
        return Visitor(self.app)

    def view(self, view: Callable[..., Any], path: str = "/view", **guard: Any) -> None:
        """Add a view that is guarded with ``fallback=True``."""
        guarded = requires_openrouter_key(**{"fallback": True, **guard})(view)
        self.app.add_url_rule(path, path, guarded, methods=["GET", "POST"])

    def spent_by_app(self) -> int:
        """Count the requests that OpenRouter got with the app's own key."""
        key_hash = hashlib.sha256(self.api_key.encode()).hexdigest()
        return sum(request.api_key_hash == key_hash for request in self.emulator.requests)


def is_asked_to_connect(answer: TestResponse, next_url: str = "/try") -> bool:
    """Whether an answer is that of a missing key."""
    if answer.status_code == 303:
        return answer.location == f"/openrouter/login?next={next_url}"
    return answer.status_code == 401 and (answer.json or {})["error"] == "key_required"
