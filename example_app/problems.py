"""Problems in plain words, each with the next step. OpenRouter's own texts are never shown."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from flask_openrouter.errors import OpenRouterError, OutOfCreditError

if TYPE_CHECKING:
    from flask_openrouter.connection import Connection


@dataclass(frozen=True)
class Problem:
    """A problem as the page shows it: one or two sentences, and what the visitor can do now.

    ``status``: the HTTP status of the app's response, if that has not started yet. ``link_url``: a
    page that helps. ``action``: ``"connect"`` or ``"choose_model"``. ``retry``: whether to offer
    "Try again", after ``wait`` seconds.
    """

    error: str
    message: str
    status: int = 502
    link_text: str = ""
    link_url: str = ""
    action: str = ""
    retry: bool = True
    wait: int = 0

    def as_json(self) -> dict[str, object]:
        """Return the fields for the page's script."""
        link = {"text": self.link_text, "url": self.link_url} if self.link_url else None
        return {
            "error": self.error,
            "message": self.message,
            "link": link,
            "action": self.action,
            "retry": self.retry,
            "wait": self.wait,
        }


NETWORK = Problem(
    "network", "OpenRouter cannot be reached from here at the moment. Try again in a minute."
)
INTERRUPTED = Problem(
    "interrupted",
    "The connection to OpenRouter broke before the answer was complete. What arrived is kept. "
    "Try again for a complete answer.",
)
PROVIDER_DOWN = Problem(
    "provider_down",
    "The provider of this model is not answering. Try again in a moment, or choose another model.",
    action="choose_model",
)
MODEL_GONE = Problem(
    "model_gone",
    "This model does not accept the question; OpenRouter may no longer offer it. Choose another.",
    action="choose_model",
    retry=False,
)
NOT_ALLOWED = Problem(
    "not_allowed",
    "OpenRouter does not allow this with your settings or this model. Choose another model, or "
    "put the question differently.",
    action="choose_model",
    retry=False,
)
TOO_LONG = Problem(
    "too_long",
    "This conversation is too long for the model. Start a new chat, or choose a model with more "
    "context.",
    action="choose_model",
    retry=False,
)
REJECTED = Problem(
    "rejected",
    "OpenRouter no longer accepts your key: it was deleted, disabled, or has expired. Connect "
    "again to go on. Your conversations are kept.",
    status=401,
    action="connect",
    retry=False,
)


NOT_SAVED = Problem(
    "not_saved",
    "This server could not save the conversation. Copy what you need, and try again later.",
    status=503,
)
BUSY = Problem(
    "busy",
    "Another answer is still being written in this conversation, perhaps in another tab. Wait for "
    "its end, or stop it there.",
    status=409,
)
OUT_OF_CREDIT = Problem(
    "out_of_credit",
    "There is no credit left on your OpenRouter account. Add some, then try again. Models marked "
    "as free work without.",
    status=402,
    link_text="Add credit at OpenRouter",
    link_url=OutOfCreditError.settings_url,
    action="choose_model",
)


def spent(connection: Connection, status: int) -> Problem:
    """Return the problem of an empty account or of a spent key limit. 402 can mean either."""
    if status == 402:
        try:
            left = connection.key_info().limit_remaining
        except OpenRouterError:
            left = None
        if left is None or left > 0:
            return OUT_OF_CREDIT
    return Problem(
        "key_limit",
        "The key of this app has reached its spending limit. Raise the limit at OpenRouter, then "
        "try again.",
        status=402,
        link_text="Raise the limit at OpenRouter",
        link_url=connection.settings_url,
    )


def rate_limited(retry_after: str | None) -> Problem:
    """Return the problem of too many requests. ``retry_after``: OpenRouter's header, unchecked."""
    text = retry_after or ""
    wait = min(int(text), 3600) if text.isascii() and text.isdigit() and len(text) < 6 else 10
    return Problem(
        "rate_limited",
        "Too many questions in a short time for this model. Wait a little, or choose another.",
        status=429,
        action="choose_model",
        wait=wait,
    )


def problem_for_status(status: int, retry_after: str | None = None) -> Problem:
    """Return the problem for an error status of OpenRouter."""
    if status == 429:
        return rate_limited(retry_after)
    return {
        400: MODEL_GONE,
        403: NOT_ALLOWED,
        404: MODEL_GONE,
        413: TOO_LONG,
        422: MODEL_GONE,
    }.get(status, PROVIDER_DOWN)
