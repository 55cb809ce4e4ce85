"""``POST /api/v1/chat/completions``, plain and streamed.

Source: https://openrouter.ai/docs/api-reference/chat-completion and .../overview, "Streaming".
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

from flask import Blueprint
from flask.typing import ResponseReturnValue

from .answer import Piece
from .delivery import Delivery
from .emulator import get_emulator
from .errors import read_json_object
from .events import answer_response
from .oauth import require_key
from .question import read_question

bp: Final = Blueprint("chat", __name__)


@bp.post("/api/v1/chat/completions")
def complete() -> ResponseReturnValue:
    """Answer a conversation and charge its price to the key."""
    key_hash = require_key()
    question = read_question(read_json_object(), get_emulator().config)
    delivery = Delivery(question, key_hash)
    stream = delivery.stream("chat.completion.chunk", _deltas(delivery), _choice, {})
    body = stream if question.stream else _whole_body(delivery)
    return answer_response(body, delivery.id)


def _whole_body(delivery: Delivery) -> dict[str, Any]:
    answer = delivery.answer
    message: dict[str, Any] = {
        "role": "assistant",
        "content": None if answer.calls else answer.joined("text"),
        "refusal": None,
    }
    thoughts = answer.joined("reasoning")
    if thoughts and delivery.question.shows_reasoning:
        message |= _reasoning(thoughts)
    if answer.calls:
        message["tool_calls"] = [
            {
                "id": call.id,
                "type": "function",
                "function": {"name": call.name, "arguments": answer.joined("call", index)},
            }
            for index, call in enumerate(answer.calls)
        ]
    return {
        **delivery.header("chat.completion"),
        "system_fingerprint": None,
        "choices": [
            {
                "index": 0,
                "finish_reason": answer.finish_reason,
                "native_finish_reason": answer.finish_reason,
                "message": {**message, **_attachments(delivery)},
            }
        ],
        "usage": delivery.whole(),
    }


def _deltas(delivery: Delivery) -> Iterator[dict[str, Any]]:
    begun = 0
    yield {}
    for piece in delivery.pieces():
        if piece.kind == "text":
            yield {"content": piece.text}
        elif piece.kind == "call":
            if piece.call == begun:
                begun += 1
                yield _call_delta(delivery, Piece("call", "", piece.call), is_first=True)
            yield _call_delta(delivery, piece, is_first=False)
        elif delivery.question.shows_reasoning:
            yield _reasoning(piece.text)
    if attachments := _attachments(delivery):
        yield attachments


def _call_delta(delivery: Delivery, piece: Piece, *, is_first: bool) -> dict[str, Any]:
    """Return a part of a tool call. Only the first has its id and name."""
    call: dict[str, Any] = {"index": piece.call, "function": {"arguments": piece.text}}
    if is_first:
        begun = delivery.answer.calls[piece.call]
        call |= {"id": begun.id, "type": "function"}
        call["function"]["name"] = begun.name
    return {"tool_calls": [call]}


def _reasoning(text: str) -> dict[str, Any]:
    detail = {"type": "reasoning.text", "text": text, "format": "unknown", "index": 0}
    return {"reasoning": text, "reasoning_details": [detail]}


def _attachments(delivery: Delivery) -> dict[str, Any]:
    """Return the pictures and the sources of an answer, for a message or a delta."""
    pictures = [
        {"type": "image_url", "image_url": {"url": url}, "index": index}
        for index, url in enumerate(delivery.answer.pictures)
    ]
    found: dict[str, Any] = {"images": pictures, "annotations": delivery.answer.sources}
    return {name: value for name, value in found.items() if value}


def _choice(delta: dict[str, Any], finish_reason: str | None = None) -> dict[str, Any]:
    """Return a choice. Every delta has a role and a content, as seen live."""
    delta = {"role": "assistant", "content": "", **delta}
    choice = {"index": 0, "delta": delta, "finish_reason": finish_reason}
    return choice if finish_reason is None else {**choice, "native_finish_reason": finish_reason}
