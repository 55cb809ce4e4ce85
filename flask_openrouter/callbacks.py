"""What the app registered on the extension by decorator."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from .current import this_app


@dataclass
class Callbacks:
    """Functions of the app: code, not state, and so the same for all apps of one extension."""

    owner_loader: Callable[[], Any] | None = None
    unauthorized_handler: Callable[[], Any] | None = None
    key_options: Callable[[], Mapping[str, Any] | None] | None = None


def call(function: Callable[[], Any]) -> Any:
    """Call a function of the app, which may be ``async def``."""
    return this_app().ensure_sync(function)()
