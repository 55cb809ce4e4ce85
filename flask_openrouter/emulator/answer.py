"""An answer: what the emulated model says to a question, before it has the form of an API."""

from __future__ import annotations

import json
import re
import secrets
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple

from .catalogue import SEARCH_PRICE
from .picture import picture_of
from .prose import compose_answer, compose_reasoning, split_into_words
from .question import Question, Tool
from .samples import sample_of

#: What OpenRouter counts for one picture of this kind.
PICTURE_TOKENS = 1_290

_CAMEL = re.compile(r"(?<=[a-z])(?=[A-Z])")
_WORDS = re.compile(r"[a-z0-9]+")
#: Words in the names of functions that say nothing about the subject.
_VERBS = frozenset({"call", "fetch", "find", "get", "list", "lookup", "run", "search", "set"})
_SOURCE = {
    "url": "https://search.example/emulated",
    "title": "An emulated search result",
    "content": "The emulator searches nothing, and nothing left your machine.",
}


class Piece(NamedTuple):
    """A piece of an answer, which counts as one token."""

    kind: Literal["reasoning", "text", "call"]
    text: str
    #: Index of the tool call whose arguments ``text`` continues.
    call: int = 0


@dataclass(frozen=True, kw_only=True)
class Call:
    """A call of one of the app's functions. Its arguments are JSON in the pieces."""

    id: str
    name: str


@dataclass(frozen=True, kw_only=True)
class Answer:
    """One answer in the order in which a stream sends it: thoughts, text or calls, pictures."""

    pieces: list[Piece]
    calls: list[Call]
    pictures: list[str]
    #: ``url_citation`` objects, for a question that asked for a search.
    sources: list[dict[str, Any]]
    finish_reason: Literal["stop", "length", "tool_calls"]
    #: USD, on top of the tokens.
    search_cost: float

    def joined(self, kind: str, call: int = 0) -> str:
        """Return the pieces of one kind as one text."""
        return "".join(p.text for p in self.pieces if p.kind == kind and p.call == call)


def answer_to(question: Question) -> Answer:
    """Return the answer to a question, cut at the number of tokens that the request allows."""
    calls = [Call(id=f"call_{secrets.token_hex(12)}", name=t.name) for t in _chosen(question)]
    pieces = []
    if question.reasons:
        thoughts = compose_reasoning(question.model, question.text)
        pieces += [Piece("reasoning", word) for word in split_into_words(thoughts)]
    for index, call in enumerate(calls):
        pieces += [Piece("call", part, index) for part in _arguments(question, call.name)]
    text = "" if calls else _text(question)
    pieces += [Piece("text", word) for word in split_into_words(text)]
    kept = pieces[: question.max_tokens]
    is_whole = len(kept) == len(pieces)
    finish_reason: Literal["stop", "tool_calls"] = "tool_calls" if calls else "stop"
    return Answer(
        pieces=kept,
        calls=calls[: max((p.call + 1 for p in kept if p.kind == "call"), default=0)],
        pictures=[picture_of(question.text)] if question.wants_picture and is_whole else [],
        sources=[_source(text)] if question.searches and text and is_whole else [],
        finish_reason=finish_reason if is_whole else "length",
        search_cost=SEARCH_PRICE if question.searches else 0.0,
    )


def _text(question: Question) -> str:
    if question.schema is None:
        text = compose_answer(question.model, question.messages)
    else:
        text = json.dumps(sample_of(question.schema, question.text), ensure_ascii=False)
    ends = [text.find(stop) for stop in question.stop if stop in text]
    return text[: min(ends, default=None)]


def _chosen(question: Question) -> list[Tool]:
    """Return the functions that the model calls, if any.

    With ``auto``, a user message is answered by calls, and their results by text. With
    ``required``, each function is called once, in order, and then the last one again.
    """
    tools = question.tools
    if not tools or question.tool_choice == "none":
        return []
    named = [tool for tool in tools if tool.name == question.tool_choice]
    if named:
        return named[:1]
    has_result = question.messages[-1]["role"] == "tool"
    if question.tool_choice != "required":
        return [] if has_result else _fitting(question)
    called = _called(question)
    left = [tool for tool in tools if tool.name not in called]
    return (left or list(tools[-1:]))[:1] if has_result else _fitting(question)


def _fitting(question: Question) -> list[Tool]:
    """Return the functions that the question is about, or the first one."""
    asked = set(_WORDS.findall(question.text.lower()))
    fitting = [tool for tool in question.tools if _subject(tool) & asked]
    return (fitting or list(question.tools))[: None if fitting and question.parallel else 1]


def _subject(tool: Tool) -> set[str]:
    return set(_WORDS.findall(_CAMEL.sub(" ", tool.name).lower())) - _VERBS


def _called(question: Question) -> set[str]:
    """Return the names of the functions that were called since the last user message."""
    called: set[str] = set()
    for message in question.messages:
        if message["role"] == "user":
            called.clear()
        calls = message.get("tool_calls")
        for call in calls if isinstance(calls, list) else []:
            function = call.get("function") if isinstance(call, dict) else None
            name = function.get("name") if isinstance(function, dict) else None
            called |= {name} if isinstance(name, str) else set()
    return called


def _arguments(question: Question, name: str) -> list[str]:
    """Return the arguments of a call as JSON, in pieces of a few characters."""
    schema = next(tool.parameters for tool in question.tools if tool.name == name)
    value = sample_of(schema, question.text) if schema else {}
    text = json.dumps(value, ensure_ascii=False)
    return re.findall(r".{1,8}", text, re.DOTALL)


def _source(text: str) -> dict[str, Any]:
    return {
        "type": "url_citation",
        "url_citation": {**_SOURCE, "start_index": 0, "end_index": len(text)},
    }
