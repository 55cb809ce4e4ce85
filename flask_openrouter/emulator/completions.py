"""``POST /api/v1/completions``: the older API, which continues a text, plain and streamed.

Source: https://openrouter.ai/docs/api-reference/completion
"""

from __future__ import annotations

from typing import Any, Final

from flask import Blueprint
from flask.typing import ResponseReturnValue

from .delivery import Delivery
from .emulator import get_emulator
from .errors import APIError, read_json_object
from .events import answer_response
from .oauth import require_key
from .question import read_question

KIND = "text_completion"
#: Members of the request that have a meaning for chats only.
_ONLY_CHAT = frozenset({"messages", "tools", "tool_choice", "modalities", "response_format"})

bp: Final = Blueprint("completions", __name__)


@bp.post("/api/v1/completions")
def complete_text() -> ResponseReturnValue:
    """Answer a prompt and charge its price to the key."""
    key_hash = require_key()
    body = read_json_object()
    prompt = body.get("prompt")
    if isinstance(prompt, list) and len(prompt) == 1:
        prompt = prompt[0]
    if not isinstance(prompt, str):
        raise APIError(400, "Input required: specify prompt")
    asked = {name: value for name, value in body.items() if name not in _ONLY_CHAT}
    asked["messages"] = [{"role": "user", "content": prompt}]
    question = read_question(asked, get_emulator().config)
    delivery = Delivery(question, key_hash)
    texts = (piece.text for piece in delivery.pieces() if piece.kind == "text")
    stream = delivery.stream(KIND, texts, _choice, "")
    return answer_response(stream if question.stream else _whole_body(delivery), delivery.id)


def _whole_body(delivery: Delivery) -> dict[str, Any]:
    answer = delivery.answer
    thoughts = answer.joined("reasoning") if delivery.question.shows_reasoning else ""
    choice = _choice(answer.joined("text"), answer.finish_reason)
    choice["reasoning"] = thoughts or None
    return {**delivery.header(KIND), "choices": [choice], "usage": delivery.whole()}


def _choice(text: str, finish_reason: str | None = None) -> dict[str, Any]:
    return {
        "index": 0,
        "text": text,
        "logprobs": None,
        "finish_reason": finish_reason,
        "native_finish_reason": finish_reason,
    }
