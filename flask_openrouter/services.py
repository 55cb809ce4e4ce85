"""What the extension keeps for one app, and how to reach it."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

from .callbacks import Callbacks
from .client import OpenRouterClient
from .config import Settings
from .current import this_app
from .owner import Owners
from .storage.cipher import KeyCipher
from .storage.cookie import ExtensionCookie
from .storage.vault import KeyVault

EXTENSION_KEY: Final = "openrouter"


class SpentStates:
    """The states whose code has been sent, so that no code is ever sent twice by this process.

    Needed because a signed cookie can be put back. Holds nothing of a visitor but 16 characters,
    for as long as a login may last; bounded.
    """

    def __init__(self, max_age: int, *, most: int = 100_000) -> None:
        self._max_age = max_age
        self._most = most
        self._expiries: dict[str, float] = {}
        self._lock = threading.Lock()

    def is_spent(self, state: str, now: float) -> bool:
        """Return whether it was claimed already."""
        return self._expiries.get(state, now) > now

    def claim(self, state: str, now: float) -> bool:
        """Return whether this is the first claim. ``now``: Unix time in seconds."""
        with self._lock:
            if self._expiries.get(state, now) > now:
                return False
            self._expiries.pop(state, None)
            while self._expiries:
                oldest = next(iter(self._expiries))
                if self._expiries[oldest] > now and len(self._expiries) < self._most:
                    break
                del self._expiries[oldest]
            self._expiries[state] = now + self._max_age
            return True


@dataclass(frozen=True, kw_only=True)
class Services:
    """Everything that one app owns. Frozen: what belongs to a request is never here."""

    settings: Settings
    #: Where the routes are, below the app's own root: ``/openrouter``.
    url_prefix: str
    client: OpenRouterClient
    cipher: KeyCipher
    vault: KeyVault
    owners: Owners
    callbacks: Callbacks
    spent_states: SpentStates
    #: The same for keys that waited to be saved.
    spent_parkings: SpentStates
    #: Where the last login of this browser led.
    finished_cookie: ExtensionCookie
    #: Where a key waits that the storage refused.
    unsaved_cookie: ExtensionCookie
    #: Unix time in seconds.
    clock: Callable[[], float]
    #: Which warnings were given already: each is worth saying once.
    warned: set[str] = field(default_factory=set)


def get_services() -> Services:
    """Return the services of the current app. Raises RuntimeError without ``init_app``."""
    try:
        services: Services = this_app().extensions[EXTENSION_KEY]
    except KeyError:
        raise RuntimeError(
            "This app has no OpenRouter extension. Did you forget OpenRouterAuth(app),"
            " or auth.init_app(app) in the app factory?"
        ) from None
    return services
