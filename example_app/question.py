"""Questions from the page's script: checks of shape and size, and the messages to send along."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from .history import MAX_MESSAGES, Message
from .instructions import MAX_INSTRUCTIONS

#: Longest question, in characters. The page's text box has the same limit.
MAX_PROMPT = 8_000
#: Longest conversation to send along, in characters. Older messages are left out.
MAX_TOTAL = 80_000

_MODEL_ID = re.compile(r"[~\w][\w.:/@-]{0,199}", re.ASCII)


class QuestionError(ValueError):
    """An invalid question from the browser. The message is for the visitor."""


@dataclass(frozen=True)
class Question:
    """A question.

    ``text``: None repeats the last question. ``replace``: the id of the message to replace.
    ``instructions``: None keeps those of the conversation.
    """

    model: str
    text: str | None
    conversation_id: str | None
    replace: int | None
    instructions: str | None = None


@dataclass(frozen=True)
class Turn:
    """One turn. ``messages``: to send to OpenRouter. ``removed``: ids of the replaced messages."""

    messages: list[dict[str, str]]
    removed: list[int]


def read_question(data: object) -> Question:
    """Check the decoded JSON body: ``{model, text?, conversation?, replace?, instructions?}``.

    Raises :class:`QuestionError`.
    """
    if not isinstance(data, dict):
        raise QuestionError("This question could not be read. Reload the page and try again.")
    model, text = data.get("model"), data.get("text")
    conversation_id, replace = data.get("conversation"), data.get("replace")
    if not isinstance(model, str) or not _MODEL_ID.fullmatch(model):
        raise QuestionError("Choose a model first.")
    if not isinstance(conversation_id, (str, type(None))) or type(replace) not in (int, type(None)):
        raise QuestionError("This question could not be read. Reload the page and try again.")
    instructions = data.get("instructions")
    if not isinstance(instructions, (str, type(None))):
        raise QuestionError("These instructions could not be read. Reload the page and try again.")
    if instructions and len(instructions) > MAX_INSTRUCTIONS:
        raise QuestionError(f"Instructions can have at most {MAX_INSTRUCTIONS:,} characters.")
    if text is None and conversation_id is not None:
        return Question(model, None, conversation_id, None, instructions)
    if not isinstance(text, str) or not text.strip():
        raise QuestionError("Write a message first.")
    if len(text) > MAX_PROMPT:
        raise QuestionError(f"A message can have at most {MAX_PROMPT:,} characters.")
    return Question(model, text.strip(), conversation_id, replace, instructions)


def plan_turn(question: Question, messages: Sequence[Message]) -> Turn:
    """Fit the question into the conversation, without changing it yet.

    Raises :class:`QuestionError`.
    """
    kept = list(messages)
    if question.text is None:
        # Repeating a question replaces everything after the visitor's last message.
        while kept and kept[-1].role != "user":
            kept.pop()
        if not kept:
            raise QuestionError("There is no question to ask again.")
    elif question.replace is not None:
        places = [i for i, m in enumerate(kept) if m.id == question.replace and m.role == "user"]
        if not places:
            raise QuestionError("This message is no longer there. Reload the page.")
        del kept[places[0] :]
    if len(kept) >= MAX_MESSAGES:
        raise QuestionError("This conversation is too long. Start a new chat.")
    sent = [{"role": m.role, "content": m.text} for m in kept if m.text]
    if question.text is not None:
        sent.append({"role": "user", "content": question.text})
    return Turn(_newest(sent), [m.id for m in messages if m not in kept])


def title_of(text: str) -> str:
    """Return the title of a conversation that begins with this question."""
    # Without Markdown characters, because titles are plain text.
    line = " ".join(re.sub(r"[`*#]+", "", text).split()) or "Untitled"
    return line if len(line) <= 60 else line[:59].rsplit(" ", 1)[0] + "…"


def _newest(sent: list[dict[str, str]]) -> list[dict[str, str]]:
    """Return the newest messages that fit, oldest first, beginning with a visitor's message."""
    total, start = 0, len(sent)
    while start > 0:
        total += len(sent[start - 1]["content"])
        if total > MAX_TOTAL and start < len(sent):
            break
        start -= 1
    while sent[start]["role"] != "user":
        start += 1
    return sent[start:]
