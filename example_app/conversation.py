"""What the browser may ask: the shape and size of a conversation."""

from __future__ import annotations

import re
from dataclasses import dataclass

#: Longest single prompt, in characters. The page's text box has the same limit.
MAX_PROMPT = 8_000
#: Longest answer that is accepted back as context, in characters.
MAX_ANSWER = 60_000
#: Longest conversation sent along, in characters and in messages.
MAX_TOTAL = 80_000
MAX_MESSAGES = 60

_MODEL_ID = re.compile(r"[~\w][\w.:/@-]{0,199}", re.ASCII)


class ConversationError(ValueError):
    """The browser sent something that is not a conversation. The message is for the visitor."""


@dataclass(frozen=True)
class Conversation:
    """A model and the messages so far, the visitor's newest last.

    ``messages``: ``[{"role": "user" | "assistant", "content": str}, ...]``.
    """

    model: str
    messages: list[dict[str, str]]


def read_conversation(data: object) -> Conversation:
    """Check ``data``, the decoded JSON body of a request.

    Raises :class:`ConversationError` when it is not ``{"model": ..., "messages": [...]}`` or when
    it is too long.
    """
    if not isinstance(data, dict):
        raise ConversationError("This message could not be read. Reload the page and try again.")
    model, messages = data.get("model"), data.get("messages")
    if not isinstance(model, str) or not _MODEL_ID.fullmatch(model):
        raise ConversationError("Choose a model first.")
    if not isinstance(messages, list) or not messages:
        raise ConversationError("Write a message first.")
    if len(messages) > MAX_MESSAGES:
        raise ConversationError("This conversation is too long. Start a new chat.")
    checked = [_read_message(message) for message in messages]
    if checked[-1]["role"] != "user":
        raise ConversationError("Write a message first.")
    if sum(len(message["content"]) for message in checked) > MAX_TOTAL:
        raise ConversationError("This conversation is too long. Start a new chat.")
    return Conversation(model, checked)


def _read_message(message: object) -> dict[str, str]:
    if not isinstance(message, dict):
        raise ConversationError("This message could not be read. Reload the page and try again.")
    role, content = message.get("role"), message.get("content")
    if role not in ("user", "assistant") or not isinstance(content, str):
        raise ConversationError("This message could not be read. Reload the page and try again.")
    if not content.strip():
        raise ConversationError("Write a message first.")
    if len(content) > (MAX_PROMPT if role == "user" else MAX_ANSWER):
        raise ConversationError(f"A message can have at most {MAX_PROMPT:,} characters.")
    return {"role": role, "content": content}
