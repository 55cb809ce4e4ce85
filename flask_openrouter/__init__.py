"""Let the visitors of a Flask app connect their own OpenRouter account."""

from .client import OpenRouterClient
from .connection import current_openrouter
from .errors import OpenRouterError
from .extension import OpenRouterAuth
from .guard import requires_openrouter_key
from .storage import KeyStorage

__all__ = [
    "KeyStorage",
    "OpenRouterAuth",
    "OpenRouterClient",
    "OpenRouterError",
    "current_openrouter",
    "requires_openrouter_key",
]

__version__ = "0.1.0"
