"""``POST /api/v1/responses``, plain and streamed.

Source: https://openrouter.ai/docs/api-reference/responses
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import groupby
from typing import Any, Final

from flask import Blueprint
from flask.typing import ResponseReturnValue

from .answer import Piece
from .delivery import BrokenStreamError, Delivery
from .emulator import get_emulator
from .errors import read_json_object
from .events import DONE, PROCESSING, answer_response, event
from .oauth import require_key
from .question import read_question
from .responses_request import as_chat_request

_NUMBERS = ("temperature", "top_p", "presence_penalty", "frequency_penalty")
#: The prefix of an item's id, by the kind of its pieces.
_PREFIXES: Final = {"reasoning": "rs", "text": "msg", "call": "fc"}

bp: Final = Blueprint("responses", __name__)


@bp.post("/api/v1/responses")
def respond() -> ResponseReturnValue:
    """Answer the input and charge its price to the key."""
    key_hash = require_key()
    body = read_json_object()
    question = read_question(as_chat_request(body), get_emulator().config)
    delivery = Delivery(question, key_hash)
    run = _Run(delivery, body)
    return answer_response(run.stream() if question.stream else run.whole(), delivery.id)


class _Run:
    """One answer in the form of this API: an object with output items, or events about them."""

    def __init__(self, delivery: Delivery, body: Mapping[str, Any]) -> None:
        self._delivery = delivery
        self._answer = delivery.answer
        self._echo = _echo(body)
        self._output: list[dict[str, Any]] = []
        self._number = 0

    def whole(self) -> dict[str, Any]:
        """Charge the answer, and return the response object."""
        for (kind, call), pieces in groupby(self._answer.pieces, _item_of):
            if self._is_shown(kind):
                self._output.append(self._item(kind, call, "".join(p.text for p in pieces)))
        self._output += self._picture_items()
        usage = self._delivery.whole()
        return self._response(self._status(), usage)

    def stream(self) -> Iterator[bytes]:
        """Yield the events. A client that leaves pays for the words sent."""
        try:
            yield PROCESSING
            for name in ("response.created", "response.in_progress"):
                yield self._event(name, response=self._response("in_progress"))
            for (kind, call), pieces in groupby(self._delivery.pieces(), _item_of):
                if self._is_shown(kind):
                    yield from self._item_events(kind, call, pieces)
            for item in self._picture_items():
                yield self._event("response.output_item.added", **self._place(), item=item)
                yield self._event("response.output_item.done", **self._place(), item=item)
                self._output.append(item)
            status = self._status()
            response = self._response(status, self._delivery.charge())
            yield self._event(f"response.{status}", response=response)
            yield DONE
        except BrokenStreamError as broken:
            is_limit = broken.status == 429
            error = {
                "code": "rate_limit_exceeded" if is_limit else "server_error",
                "message": "Provider disconnected",
            }
            response = self._response("failed", self._delivery.charge()) | {"error": error}
            yield self._event("response.failed", response=response)
        finally:
            self._delivery.charge()

    def _item_events(self, kind: str, call: int, pieces: Iterator[Piece]) -> Iterator[bytes]:
        place = self._place()
        begun = self._item(kind, call, "", is_done=False)
        yield self._event("response.output_item.added", **place, item=begun)
        part = {**place, "item_id": begun["id"]}
        text = ""
        if kind == "call":
            for piece in pieces:
                text += piece.text
                yield self._event(
                    "response.function_call_arguments.delta", **part, delta=piece.text
                )
            name = begun["name"]
            yield self._event(
                "response.function_call_arguments.done", **part, name=name, arguments=text
            )
        else:
            is_text = kind == "text"
            part_name = "content_part" if is_text else "reasoning_summary_part"
            text_name = "output_text" if is_text else "reasoning_summary_text"
            part["content_index" if is_text else "summary_index"] = 0
            logprobs: dict[str, Any] = {"logprobs": []} if is_text else {}
            inner = self._part(kind, "")
            yield self._event(f"response.{part_name}.added", **part, part=inner)
            for piece in pieces:
                text += piece.text
                yield self._event(
                    f"response.{text_name}.delta", **part, delta=piece.text, **logprobs
                )
            yield self._event(f"response.{text_name}.done", **part, text=text, **logprobs)
            inner = self._part(kind, text)
            for index, note in enumerate(inner.get("annotations", ())):
                yield self._event(
                    "response.output_text.annotation.added",
                    **part,
                    annotation=note,
                    annotation_index=index,
                )
            yield self._event(f"response.{part_name}.done", **part, part=inner)
        item = self._item(kind, call, text)
        yield self._event("response.output_item.done", **place, item=item)
        self._output.append(item)

    def _item(self, kind: str, call: int, text: str, *, is_done: bool = True) -> dict[str, Any]:
        """Return an output item. Until it is done, it has no parts."""
        status = "in_progress"
        if is_done:
            status = "incomplete" if self._status() == "incomplete" else "completed"
        item_id = f"{_PREFIXES[kind]}_{self._delivery.id.removeprefix('gen-')}_{call}"
        if kind == "call":
            begun = self._answer.calls[call]
            return {
                "type": "function_call",
                "id": item_id,
                "call_id": begun.id,
                "name": begun.name,
                "arguments": text,
                "status": status,
            }
        parts = [self._part(kind, text)] if is_done else []
        if kind == "reasoning":
            return {"type": "reasoning", "id": item_id, "summary": parts, "status": status}
        return {
            "type": "message",
            "id": item_id,
            "role": "assistant",
            "status": status,
            "content": parts,
        }

    def _part(self, kind: str, text: str) -> dict[str, Any]:
        if kind == "reasoning":
            return {"type": "summary_text", "text": text}
        notes = [
            {"type": "url_citation", **source["url_citation"]}
            for source in (self._answer.sources if text else [])
        ]
        for note in notes:
            del note["content"]
        return {"type": "output_text", "text": text, "annotations": notes, "logprobs": []}

    def _picture_items(self) -> list[dict[str, Any]]:
        return [
            {
                "type": "image_generation_call",
                "id": f"ig_{self._delivery.id.removeprefix('gen-')}_{index}",
                "status": "completed",
                "result": url.partition("base64,")[2],
            }
            for index, url in enumerate(self._answer.pictures)
        ]

    def _is_shown(self, kind: str) -> bool:
        return kind != "reasoning" or self._delivery.question.shows_reasoning

    def _status(self) -> str:
        return "incomplete" if self._answer.finish_reason == "length" else "completed"

    def _place(self) -> dict[str, Any]:
        return {"output_index": len(self._output)}

    def _response(self, status: str, usage: Mapping[str, Any] | None = None) -> dict[str, Any]:
        delivery = self._delivery
        is_incomplete = status == "incomplete"
        response = {
            "id": delivery.id,
            "object": "response",
            "created_at": delivery.created,
            "completed_at": delivery.created if status == "completed" else None,
            "model": delivery.question.model.id,
            "status": status,
            "output": list(self._output),
            "error": None,
            "incomplete_details": {"reason": "max_output_tokens"} if is_incomplete else None,
            **self._echo,
        }
        return response if usage is None else {**response, "usage": _usage(usage)}

    def _event(self, kind: str, /, **members: Any) -> bytes:
        number, self._number = self._number, self._number + 1
        return event({"type": kind, "sequence_number": number, **members}, kind)


def _item_of(piece: Piece) -> tuple[str, int]:
    return piece.kind, piece.call


def _echo(body: Mapping[str, Any]) -> dict[str, Any]:
    """Return the members of the response that repeat the request."""
    numbers = {name: body.get(name) for name in _NUMBERS}
    tools = [tool for tool in body.get("tools") or () if tool["type"] == "function"]
    metadata = body.get("metadata")
    return {
        **{name: n if type(n) in (int, float) else None for name, n in numbers.items()},
        "instructions": body.get("instructions"),
        "max_output_tokens": body.get("max_output_tokens"),
        "metadata": metadata if isinstance(metadata, dict) else None,
        "parallel_tool_calls": body.get("parallel_tool_calls") is not False,
        "tool_choice": body.get("tool_choice") or "auto",
        "tools": [{"parameters": None, "strict": None, **tool} for tool in tools],
    }


def _usage(usage: Mapping[str, Any]) -> dict[str, Any]:
    """Return the ``usage`` of a chat response under the names of this API."""
    prompt = usage["prompt_tokens_details"]["cached_tokens"]
    reasoning = usage["completion_tokens_details"]["reasoning_tokens"]
    renamed = {
        "input_tokens": usage["prompt_tokens"],
        "input_tokens_details": {"cached_tokens": prompt},
        "output_tokens": usage["completion_tokens"],
        "output_tokens_details": {"reasoning_tokens": reasoning},
        "total_tokens": usage["total_tokens"],
        "is_byok": usage["is_byok"],
    }
    if "cost" in usage:
        details = usage["cost_details"]
        renamed["cost"] = usage["cost"]
        renamed["cost_details"] = {
            "upstream_inference_cost": None,
            "upstream_inference_input_cost": details["upstream_inference_prompt_cost"],
            "upstream_inference_output_cost": details["upstream_inference_completions_cost"],
        }
    return renamed
