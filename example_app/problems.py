"""What can go wrong, in plain words. OpenRouter's own error texts are never shown."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Problem:
    """A problem as the page shows it: a sentence, perhaps a link, and whether to offer a retry.

    ``status`` is the HTTP status of our own answer when it has not started yet.
    """

    error: str
    message: str
    status: int = 502
    link_text: str = ""
    link_url: str = ""
    retry: bool = True

    def as_json(self) -> dict[str, object]:
        """As the page's script expects it."""
        link = {"text": self.link_text, "url": self.link_url} if self.link_url else None
        return {
            "error": self.error,
            "message": self.message,
            "link": link,
            "retry": self.retry,
        }


NETWORK = Problem("network", "OpenRouter could not be reached. Check the network and try again.")
INTERRUPTED = Problem("interrupted", "The connection to OpenRouter broke off before the end.")
MODEL_TROUBLE = Problem("model", "The model has trouble answering. Try again, or choose another.")
REJECTED = Problem(
    "rejected",
    "OpenRouter no longer accepts your key. Connect again to go on.",
    status=401,
    retry=False,
)


def out_of_credit(link_url: str) -> Problem:
    """The account, or what the key may spend, is used up; ``link_url`` is where to change that."""
    return Problem(
        "out_of_credit",
        "There is no credit left on your OpenRouter account, or your key has reached its limit.",
        status=402,
        link_text="Add credit or raise the limit at OpenRouter",
        link_url=link_url,
    )


def problem_for_status(status: int, retry_after: str | None = None) -> Problem:
    """Explain an error status of OpenRouter. ``retry_after``: its header, in seconds."""
    if status == 401:
        return REJECTED
    if status == 403:
        return Problem(
            "not_allowed",
            "OpenRouter does not allow this request with your settings or this model. "
            "Choose another model, or put it differently.",
            retry=False,
        )
    if status in (400, 404, 422):
        return Problem("model", "This model cannot answer this. Choose another model.")
    if status == 413:
        return Problem(
            "too_long",
            "This conversation is too long for OpenRouter. Start a new chat.",
            retry=False,
        )
    if status == 429:
        wait = f"{retry_after} seconds" if _is_seconds(retry_after) else "a moment"
        return Problem(
            "rate_limited", f"Too many requests. Wait {wait}, then try again.", status=429
        )
    return MODEL_TROUBLE


def _is_seconds(text: str | None) -> bool:
    return text is not None and text.isascii() and text.isdigit() and 0 < len(text) < 5
