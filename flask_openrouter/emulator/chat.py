"""``POST /api/v1/chat/completions``, plain and streamed."""

from __future__ import annotations

import json
import secrets
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Final

from flask import Blueprint, Response, jsonify, request
from flask.typing import ResponseReturnValue

from .catalogue import (
    DEFAULT_MODEL,
    Model,
    compose_answer,
    count_tokens,
    find_model,
    split_into_words,
    text_of,
)
from .config import EmulatorConfig
from .emulator import Emulator, get_emulator
from .errors import APIError, error_type, read_json_object
from .faults import Fault
from .misbehaviour import break_off, mid_stream_fault
from .oauth import require_key

PROVIDER = "Emulator"
ROLES = frozenset({"system", "developer", "user", "assistant", "tool"})

bp: Final = Blueprint("chat", __name__)


@dataclass(frozen=True, kw_only=True)
class Completion:
    """One answer while it is being sent."""

    id: str
    created: int
    model: Model
    prompt_tokens: int
    words: list[str]
    finish_reason: str

    def header(self, kind: str) -> dict[str, Any]:
        """Return the members at the start of every chunk."""
        return {
            "id": self.id,
            "object": kind,
            "created": self.created,
            "model": self.model.id,
            "provider": PROVIDER,
        }

    def usage(self, words: int) -> dict[str, Any]:
        """Return the ``usage`` member for this many words sent."""
        return {
            "prompt_tokens": self.prompt_tokens,
            "completion_tokens": words,
            "total_tokens": self.prompt_tokens + words,
            "cost": self.model.cost(self.prompt_tokens, words),
            "is_byok": False,
        }


@bp.post("/api/v1/chat/completions")
def complete() -> ResponseReturnValue:
    """Answer a conversation and charge its price to the key."""
    key_hash = require_key()
    body = read_json_object()
    emulator = get_emulator()
    completion = _begin(body, emulator)
    remaining = emulator.ledger.remaining(key_hash, emulator.now())
    if remaining is not None and remaining <= 0:
        raise _spent_limit_error(emulator.config)

    def charge(words: int) -> dict[str, Any]:
        usage = completion.usage(words)
        emulator.ledger.spend(key_hash, usage["cost"], emulator.now())
        return usage

    fault = mid_stream_fault()
    if body.get("stream"):
        parts = _stream(completion, charge, emulator, fault, request.environ)
        response = Response(parts, mimetype="text/event-stream")
    elif fault is not None:
        # Without a stream, the whole response fails.
        raise APIError(fault.status or 502)
    else:
        response = jsonify(_whole_body(completion, charge(len(completion.words))))
    response.headers["X-Generation-Id"] = completion.id
    return response


def _begin(body: dict[str, Any], emulator: Emulator) -> Completion:
    model = _choose_model(body)
    messages = body.get("messages")
    if not isinstance(messages, list) or not messages or not all(map(_is_message, messages)):
        raise APIError(400, "Input required: specify messages")
    if not isinstance(body.get("stream", False), (bool, type(None))):
        raise APIError(400)
    words = split_into_words(compose_answer(model, messages))
    limit = _max_tokens(body)
    return Completion(
        id=f"gen-{secrets.token_hex(12)}",
        created=int(emulator.now()),
        model=model,
        prompt_tokens=sum(count_tokens(text_of(message)) for message in messages),
        words=words[:limit],
        finish_reason="stop" if limit is None or len(words) <= limit else "length",
    )


def _choose_model(body: dict[str, Any]) -> Model:
    fallbacks = [] if body.get("models") is None else body["models"]
    if not isinstance(fallbacks, list) or not all(isinstance(name, str) for name in fallbacks):
        raise APIError(400)
    requested = [body["model"]] if body.get("model") is not None else []
    requested += fallbacks
    if not requested:
        return DEFAULT_MODEL
    known = (find_model(model_id) for model_id in requested)
    model = next((model for model in known if model is not None), None)
    if model is None:
        raise APIError(400, f"{str(requested[0])[:200]} is not a valid model ID")
    return model


def _is_message(message: object) -> bool:
    if not isinstance(message, dict) or message.get("role") not in ROLES:
        return False
    content = message.get("content")
    if isinstance(content, list):
        return all(map(_is_part, content))
    return isinstance(content, (str, type(None)))


def _is_part(part: object) -> bool:
    if not isinstance(part, dict) or not isinstance(part.get("type"), str):
        return False
    return isinstance(part.get("text", ""), str)


def _max_tokens(body: dict[str, Any]) -> int | None:
    for name in ("max_completion_tokens", "max_tokens"):
        limit = body.get(name)
        if isinstance(limit, float) and limit.is_integer():
            # JSON has one kind of number (RFC 8259 section 6).
            limit = int(limit)
        if limit is not None:
            if type(limit) is not int or limit < 1:
                raise APIError(400)
            return limit
    return None


def _spent_limit_error(config: EmulatorConfig) -> APIError:
    if config.spent_limit_status == 403:
        return APIError(403, "Key limit exceeded. Manage it using https://openrouter.ai/keys")
    return APIError(402, metadata={"limit_source": "openrouter_credits"})


def _whole_body(completion: Completion, usage: dict[str, Any]) -> dict[str, Any]:
    return {
        **completion.header("chat.completion"),
        "system_fingerprint": None,
        "choices": [
            {
                "index": 0,
                "finish_reason": completion.finish_reason,
                "native_finish_reason": completion.finish_reason,
                "message": {"role": "assistant", "content": "".join(completion.words)},
            }
        ],
        "usage": usage,
    }


def _stream(
    completion: Completion,
    charge: Callable[[int], dict[str, Any]],
    emulator: Emulator,
    fault: Fault | None,
    environ: dict[str, Any],
) -> Iterator[bytes]:
    """Yield the answer as server-sent events. A client that leaves pays for the words sent."""
    sent = 0
    charged = False
    break_after = len(completion.words) // 2 if fault is not None else None
    header = completion.header("chat.completion.chunk")
    try:
        yield b": OPENROUTER PROCESSING\n\n"
        yield _event({**header, "choices": [_choice({"role": "assistant", "content": ""})]})
        for word in completion.words:
            if fault is not None and sent == break_after:
                yield from _fail(header, fault, emulator, environ)
                return
            emulator.pause(emulator.config.word_delay)
            sent += 1
            yield _event({**header, "choices": [_choice({"content": word})]})
            if sent == 1:
                yield b": OPENROUTER PROCESSING\n\n"
        yield _event({**header, "choices": [_choice({"content": ""}, completion.finish_reason)]})
        charged = True
        yield _event({**header, "choices": [], "usage": charge(sent)})
        yield b"data: [DONE]\n\n"
    finally:
        if not charged:
            charge(sent)


def _fail(
    header: dict[str, Any], fault: Fault, emulator: Emulator, environ: dict[str, Any]
) -> Iterator[bytes]:
    emulator.pause(fault.delay)
    if fault.status is None or fault.reset:
        break_off(environ)
    error = {
        "code": fault.status,
        "message": "Provider disconnected",
        "metadata": {"error_type": error_type(fault.status)},
    }
    yield _event({**header, "error": error, "choices": [_choice({"content": ""}, "error")]})


def _choice(delta: dict[str, str], finish_reason: str | None = None) -> dict[str, Any]:
    choice = {"index": 0, "delta": delta, "finish_reason": finish_reason}
    return choice if finish_reason is None else {**choice, "native_finish_reason": finish_reason}


def _event(data: dict[str, Any]) -> bytes:
    return f"data: {json.dumps(data, ensure_ascii=False)}\n\n".encode("utf-8", "replace")
