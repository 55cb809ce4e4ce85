"""Signals about connections and logins. The sender is the real app, never a proxy.

Receivers cannot change the outcome and may be ``async def``. An exception in one of them is logged
and goes no further. No signal ever carries a key, a code or a code_verifier.
"""

from __future__ import annotations

from typing import Final

from blinker import Namespace

_namespace = Namespace()

#: A key was stored: by a login, ``claim()`` or ``import_key()``, or one that was set aside is used
#: again. ``owner_id``: whose (str); ``openrouter_user_id``: the account (str or None);
#: ``previous_openrouter_user_id``: the account connected before, if any (str or None).
key_connected: Final = _namespace.signal("openrouter-key-connected")

#: A key was forgotten. ``owner_id`` (str); ``reason``: ``"visitor"`` (the disconnect route or
#: ``current_openrouter.disconnect()``) or ``"rejected"`` (OpenRouter answered 401).
key_disconnected: Final = _namespace.signal("openrouter-key-disconnected")

#: Little is left of a key's limit: at most ``OPENROUTER_BUDGET_LOW``. Sent once per login and
#: period of the limit, by each process that notices it. ``owner_id``: whose key (str);
#: ``remaining`` and ``limit``: USD (float); ``resets_at``: when the limit is reset (datetime in
#: UTC, or None).
budget_low: Final = _namespace.signal("openrouter-budget-low")

#: A login ended without a key. ``reason``: the code of the error page (str).
login_failed: Final = _namespace.signal("openrouter-login-failed")
