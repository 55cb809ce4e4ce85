"""Let the visitors of a Flask app connect their own OpenRouter account."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .errors import OpenRouterError
from .storage import KeyStorage

if TYPE_CHECKING:
    from .client import OpenRouterClient
    from .connection import current_openrouter
    from .extension import OpenRouterAuth
    from .guard import requires_openrouter_key
else:
    # pytest imports the plugin in this package at the start of every run in every project, where
    # loading Flask would be in the way. So the rest of the package waits until a name is used.
    _HOMES = {
        "OpenRouterAuth": "extension",
        "OpenRouterClient": "client",
        "current_openrouter": "connection",
        "requires_openrouter_key": "guard",
    }

    def __getattr__(name: str) -> object:
        if name not in _HOMES:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        from importlib import import_module

        globals()[name] = getattr(import_module(f".{_HOMES[name]}", __name__), name)
        return globals()[name]


__all__ = [
    "KeyStorage",
    "OpenRouterAuth",
    "OpenRouterClient",
    "OpenRouterError",
    "current_openrouter",
    "requires_openrouter_key",
]

__version__ = "0.2.0"
