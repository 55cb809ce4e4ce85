"""What the emulated models say: the same to the same question, friendly, and plainly made up."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from .models import Model

_MAX_QUOTED = 280
_GREETING = re.compile(r"(?:hi|hello|hey|good (?:morning|evening|day)|hallo|hola|salut)\b", re.I)


def compose_answer(model: Model, messages: Sequence[Mapping[str, Any]]) -> str:
    """Return the answer to a conversation. It quotes the last thing the user said, unchanged."""
    said = [text_of(message) for message in messages if message.get("role") == "user"]
    text = said[-1].strip() if said else ""
    quoted = text if len(text) <= _MAX_QUOTED else f"{text[:_MAX_QUOTED].rstrip()}…"
    closing = (
        f"This is an emulated answer: no model ran and nothing left your machine. The real "
        f"{model.short_name} would take it from here."
    )
    return f"{_opening(quoted)}{_reminder(len(said))}\n\n{closing}"


def text_of(message: Mapping[str, Any]) -> str:
    """Return the text of a message, whose content is a string or a list of parts."""
    content = message.get("content")
    if isinstance(content, str):
        return content
    parts = content if isinstance(content, list) else []
    texts = (part.get("text") for part in parts if isinstance(part, Mapping))
    return " ".join(text for text in texts if isinstance(text, str))


def count_tokens(text: str) -> int:
    """Return about how many tokens a text has: four characters each, and at least one."""
    return max(1, -(-len(text) // 4))


def split_into_words(text: str) -> list[str]:
    """Return the pieces a streamed answer comes in; joined they are the text again."""
    return re.findall(r"\S+\s*|^\s+", text)


def _opening(quoted: str) -> str:
    if not quoted:
        return "You sent me a message without words, so I have none to work with."
    if _GREETING.match(quoted):
        return f"Hello, and nice to meet you! You wrote “{quoted}”. What would you like to know?"
    if quoted.endswith("?"):
        return (
            f"Good question. You asked: “{quoted}” I cannot look anything up, but your question "
            "arrived whole, was paid for with your own key, and streamed back word by word."
        )
    return (
        f"Thank you. You wrote: “{quoted}” Your message arrived whole, and this is my reply to it."
    )


def _reminder(turns: int) -> str:
    return f" (That was message {turns} of our conversation.)" if turns > 1 else ""
