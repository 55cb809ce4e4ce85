"""The app's own key for visitors who have none: what the app's function returns for one request."""

from __future__ import annotations

import logging
import traceback
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final

from ..client.credentials import is_api_key
from ..errors import ConfigurationError
from ..problems import PROBLEMS, Problem
from ..storage.record import KeyRecord
from ..web import call_app_function

if TYPE_CHECKING:
    from ..services import AppFunctions

logger: Final = logging.getLogger("flask_openrouter")

#: Set on a view that is guarded with ``fallback=True``.
_MARK: Final = "_openrouter_fallback"


def mark_fallback(guarded: Callable[..., object]) -> None:
    """Note that this view may run on the app's own key."""
    guarded.__dict__[_MARK] = True


def may_use_fallback(view: object) -> bool:
    """Whether a view, or one that it wraps, is guarded with ``fallback=True``."""
    return getattr(view, "__dict__", {}).get(_MARK) is True


def ask_for_fallback(app_functions: AppFunctions) -> KeyRecord | Problem:
    """Return the key that ``@auth.fallback_key`` gives, or the problem that the visitor sees.

    Raises :class:`ConfigurationError` if there is no such function.
    """
    function = app_functions.fallback_key
    if function is None:
        raise ConfigurationError(
            "A view says requires_openrouter_key(fallback=True), but no function returns the app's"
            " own key. Register one with @auth.fallback_key."
        )
    value: Any
    try:
        value, failure = call_app_function(function), ""
    except Exception as error:
        # Without the message and the lines of code, which may hold the key.
        frames = traceback.extract_tb(error.__traceback__)
        places = (f"\n  {frame.filename}:{frame.lineno} in {frame.name}" for frame in frames)
        value, failure = None, f"raised {type(error).__name__}:{''.join(places)}"
    if is_api_key(value):
        return KeyRecord(value, None, 0)
    if isinstance(value, str):
        failure = "returned a text that cannot be a key."
    elif value is not None:
        failure = f"returned {type(value).__name__}, not str or None."
    # An error reporter may show the locals of a frame that logs.
    del value
    if not failure:
        return PROBLEMS["key_required"]
    logger.error("The function of @auth.fallback_key %s", failure)
    return PROBLEMS["fallback_failed"]
