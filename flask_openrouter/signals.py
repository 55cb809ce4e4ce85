"""Signals about connections and logins. The sender is the real app, never a proxy.

Receivers cannot change the outcome and may be ``async def``. An exception in one of them is logged
and goes no further. No signal ever carries a key, a code or a code_verifier.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Final

from blinker import Namespace

if TYPE_CHECKING:
    from blinker import NamedSignal
    from flask import Flask

logger: Final = logging.getLogger("flask_openrouter")

_namespace = Namespace()

#: A key was stored. ``owner_id``: whose (str); ``openrouter_user_id``: the account (str or None);
#: ``previous_openrouter_user_id``: the account connected before, if any (str or None).
key_connected: Final = _namespace.signal("openrouter-key-connected")

#: A key was forgotten. ``owner_id`` (str); ``reason``: ``"visitor"`` (the disconnect route or
#: ``current_openrouter.disconnect()``) or ``"rejected"`` (OpenRouter answered 401).
key_disconnected: Final = _namespace.signal("openrouter-key-disconnected")

#: A login ended without a key. ``reason``: the code of the error page (str).
login_failed: Final = _namespace.signal("openrouter-login-failed")


def send(signal: NamedSignal, app: Flask, **payload: object) -> None:
    """Send a signal from this app. What a receiver raises is logged and goes no further."""
    for receiver in signal.receivers_for(app):
        try:
            app.ensure_sync(receiver)(app, **payload)
        except Exception:
            logger.exception("A receiver of the signal %s failed.", signal.name)
