"""How to check what a script posts: its shape and size, and which messages are sent along."""

import re
from dataclasses import dataclass
from typing import Any

from flask import request

from .problems import Problem, Refused

#: Longest question, in characters. The page says so before it sends a longer one.
MAX_PROMPT = 100_000
#: Longest conversation to send along, in characters. Older messages are left out.
MAX_TOTAL = 400_000
#: Longest instructions, in characters.
MAX_INSTRUCTIONS = 4_000
#: Most messages of one conversation, including earlier versions.
MAX_MESSAGES = 200

_MODEL_ID = re.compile(r"[~\w][\w.:/@-]{0,199}", re.ASCII)


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
    """What is sent to OpenRouter, and ``parent_id``, the id of the message before the new one."""

    messages: list[dict[str, str]]
    parent_id: int | None
    instructions: str


def invalid(message: str) -> Refused:
    """Return the exception for a question that cannot be asked. The message is for the visitor."""
    return Refused(Problem("bad_request", 400, message, retry=False))


def posted_json() -> Any:
    """Return the decoded JSON body, or None if it is none, or too many lists within each other."""
    try:
        return request.get_json(silent=True)
    except RecursionError:
        return None


def read_question(data: Any) -> Question:
    """Check the decoded JSON body. Raises :class:`Refused`.

    It is ``{model, text?, conversation?, replace?, long?, instructions?}``.
    """
    if not isinstance(data, dict):
        raise invalid("This question could not be read. Reload the page and try again.")
    model, text, instructions = (data.get(name) for name in ("model", "text", "instructions"))
    conversation_id, replace = data.get("conversation"), data.get("replace")
    if not isinstance(model, str) or not _MODEL_ID.fullmatch(model):
        raise invalid("Choose a model first.")
    if (
        not isinstance(conversation_id, str | None)
        or not isinstance(instructions, str | None)
        or type(replace) not in (int, type(None))
    ):
        raise invalid("This question could not be read. Reload the page and try again.")
    if len(instructions or "") > MAX_INSTRUCTIONS:
        raise invalid(f"Instructions can have at most {MAX_INSTRUCTIONS:,} characters.")
    if text is not None or conversation_id is None:
        if not isinstance(text, str) or not text.strip():
            raise invalid("Write a message first.")
        if len(text) > MAX_PROMPT:
            raise invalid(f"A message can have at most {MAX_PROMPT:,} characters.")
        text = whole(text).strip()
    instructions = instructions and whole(instructions)
    is_long = data.get("long") is True
    return Question(model, text, conversation_id, replace, is_long, instructions)


def whole(text: str) -> str:
    """Replace halves of surrogate pairs: JSON can have them, but no file and no request."""
    return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")


def plan_turn(question: Question, messages: list[dict[str, Any]], instructions: str) -> Turn:
    """Fit the question into the conversation, without changing it yet. Raises :class:`Refused`."""
    if sum(len(message["versions"]) for message in messages) >= MAX_MESSAGES:
        raise invalid("This conversation is too long. Start a new chat.")
    kept = list(messages)
    if question.text is None:
        # Another answer to the visitor's last message.
        while kept and kept[-1]["role"] != "user":
            kept.pop()
        if not kept:
            raise invalid("There is no question to ask again.")
    elif question.replace is not None:
        while kept and kept[-1]["id"] != question.replace:
            kept.pop()
        if not kept or kept.pop()["role"] != "user":
            raise invalid("This message is no longer there. Reload the page.")
    sent = [{"role": m["role"], "content": m["text"]} for m in kept if m["text"]]
    if question.text is not None:
        sent.append({"role": "user", "content": question.text})
    # The newest messages that fit, beginning with a visitor's.
    while len(sent) > 1 and sum(len(m["content"]) for m in sent) > MAX_TOTAL:
        del sent[0]
    while sent[0]["role"] != "user":
        del sent[0]
    if question.instructions is not None:
        instructions = question.instructions
    if instructions:
        sent.insert(0, {"role": "system", "content": instructions})
    return Turn(sent, kept[-1]["id"] if kept else None, instructions)


def title_of(text: str) -> str:
    """Return the title of a conversation that begins with this question."""
    # Without Markdown characters, because titles are plain text.
    line = " ".join(re.sub(r"[`*#]+", "", text).split()) or "Untitled"
    return line if len(line) <= 60 else line[:59].rsplit(" ", 1)[0] + "…"
