"""How to check what a script posts: its shape and size, and which messages are sent along."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from .history import Message
from .problems import Problem, Refused

#: Longest question, in characters. The page says so before it sends a longer one.
MAX_PROMPT = 100_000
#: Longest conversation to send along, in characters. Older messages are left out.
MAX_TOTAL = 400_000
#: Longest instructions, in characters.
MAX_INSTRUCTIONS = 4_000

_MODEL_ID = re.compile(r"[~\w][\w.:/@-]{0,199}", re.ASCII)


def invalid(message: str) -> Refused:
    """Return the exception for a question that cannot be asked. The message is for the visitor."""
    return Refused(Problem("bad_request", 400, message, retry=False))


@dataclass(frozen=True)
class Question:
    """A question.

    ``text``: None repeats the last question. ``replace``: the id of the message to replace.
    ``is_long``: whether the answer may be longer than usual. ``instructions``: None keeps those of
    the conversation.
    """

    model: str
    text: str | None
    conversation_id: str | None
    replace: int | None
    is_long: bool
    instructions: str | None


@dataclass(frozen=True)
class Turn:
    """One turn. ``messages``: to send to OpenRouter. ``parent_id``: of the message before it."""

    messages: list[dict[str, str]]
    parent_id: int | None


def read_question(data: object) -> Question:
    """Check the decoded JSON body.

    It is ``{model, text?, conversation?, replace?, long?, instructions?}``.

    Raises :class:`Refused`.
    """
    if not isinstance(data, dict):
        raise invalid("This question could not be read. Reload the page and try again.")
    model, text = data.get("model"), data.get("text")
    conversation_id, replace = data.get("conversation"), data.get("replace")
    is_long = data.get("long") is True
    if not isinstance(model, str) or not _MODEL_ID.fullmatch(model):
        raise invalid("Choose a model first.")
    is_named = isinstance(conversation_id, str) and conversation_id.isascii()
    if not (is_named or conversation_id is None) or type(replace) not in (int, type(None)):
        raise invalid("This question could not be read. Reload the page and try again.")
    instructions = data.get("instructions")
    if not isinstance(instructions, (str, type(None))):
        raise invalid("These instructions could not be read. Reload the page and try again.")
    if instructions and len(instructions) > MAX_INSTRUCTIONS:
        raise invalid(f"Instructions can have at most {MAX_INSTRUCTIONS:,} characters.")
    instructions = instructions and whole(instructions)
    if text is None and conversation_id is not None:
        return Question(model, None, conversation_id, None, is_long, instructions)
    if not isinstance(text, str) or not text.strip():
        raise invalid("Write a message first.")
    if len(text) > MAX_PROMPT:
        raise invalid(f"A message can have at most {MAX_PROMPT:,} characters.")
    return Question(model, whole(text).strip(), conversation_id, replace, is_long, instructions)


def whole(text: str) -> str:
    """Return the text with halves of surrogate pairs replaced, which JSON can contain.

    They can be neither stored nor sent.
    """
    return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")


def plan_turn(question: Question, messages: Sequence[Message]) -> Turn:
    """Fit the question into the conversation, without changing it yet.

    Raises :class:`Refused`.
    """
    kept = list(messages)
    if question.text is None:
        # Another answer to the visitor's last message.
        while kept and kept[-1].role != "user":
            kept.pop()
        if not kept:
            raise invalid("There is no question to ask again.")
    elif question.replace is not None:
        places = [i for i, m in enumerate(kept) if m.id == question.replace and m.role == "user"]
        if not places:
            raise invalid("This message is no longer there. Reload the page.")
        del kept[places[0] :]
    sent = [{"role": m.role, "content": m.text} for m in kept if m.text]
    if question.text is not None:
        sent.append({"role": "user", "content": question.text})
    return Turn(_newest(sent), kept[-1].id if kept else None)


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
