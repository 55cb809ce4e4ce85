"""Rewrites: how a fault changes a real response, event by event, member by member.

OpenRouter's answers in the field differ from its documentation in these ways. A rewrite changes the
answer that the emulator is about to give, so ids, model, price and the charge to the key are real.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any
from urllib.parse import parse_qsl, urlencode, urlsplit

from .chunks import (
    Event,
    Events,
    before,
    choice_of,
    content_of,
    is_end,
    over_two_lines,
    read_events,
    to_json,
    with_choice,
    with_delta,
    with_finish,
    with_message,
    write_event,
)
from .errors import disconnected_error, spent_key_message
from .events import DONE

Answer = dict[str, Any]
Change = Callable[[Answer], Answer]

#: How many words of an answer come before it breaks off.
FIRST_WORDS = 3
#: How many pieces of reasoning come without an answer.
THOUGHTS = 30
#: How many models are on the first page of a list that comes in pages.
SHORT_PAGE = 3

_PROVIDER_FAILED: Answer = disconnected_error(502)
_RATE_LIMITED: Answer = {"code": 429, "message": "Rate limit exceeded: free-models-per-min"}
_KEY_LIMIT: Answer = {"code": 403, "message": spent_key_message("daily")}
_RELAYED_401: Answer = {
    "code": 401,
    "message": "Provider returned error",
    "metadata": {"raw": '{"error":"invalid x-api-key"}', "provider_name": "Anthropic"},
}
_ANNOTATION: Answer = {
    "type": "url_citation",
    "url_citation": {
        "url": "https://flask.palletsprojects.com/",
        "title": "Welcome to Flask",
        "content": "Flask is a lightweight WSGI web application framework.",
        "start_index": 0,
        "end_index": 5,
    },
}
_REFUSAL = "I cannot help with that."
_HALVES = "\ud83d", "\ude00 today. "


@dataclass(frozen=True, kw_only=True)
class Rewrite:
    """One way to change a response: its stream, its JSON, or the address of its redirect."""

    stream: Callable[[Events], Events] | None = None
    body: Change | None = None
    location: Callable[[str], str] | None = None


def rewritten_stream(parts: Iterable[bytes], change: Callable[[Events], Events]) -> Iterator[bytes]:
    """Yield a stream of server-sent events, rewritten. Closing it closes ``parts``."""
    try:
        for event in change(read_events(parts)):
            yield write_event(event)
    finally:
        close = getattr(parts, "close", None)
        if close is not None:
            close()


# -- answers that end early -----------------------------------------------------------------------


def _broken_off(end: Callable[[Answer], list[Event]]) -> Rewrite:
    """Return the rewrite that ends the answer after the first words with the events of ``end``."""

    def stream(events: Events) -> Events:
        words = 0
        for event in events:
            words += bool(content_of(event))
            if not is_end(event):
                yield event
            if isinstance(event, dict) and (words == FIRST_WORDS or is_end(event)):
                yield from end(before(event, content=""))
                return

    def body(answer: Answer) -> Answer:
        chunk = next((e for e in end(before(answer)) if isinstance(e, dict)), None)
        if chunk is None or "error" in chunk:
            error = _PROVIDER_FAILED if chunk is None else chunk["error"]
            return {"id": answer["id"], "error": error}
        changed = {**choice_of(answer), **choice_of(chunk)}
        del changed["delta"]
        return {**answer, "choices": [changed]}

    return Rewrite(stream=stream, body=body)


def _finished(finish_reason: str, native: str | None = None) -> Rewrite:
    return _broken_off(lambda chunk: [with_finish(chunk, finish_reason, native), DONE])


def _failed(error: Answer) -> Rewrite:
    return _broken_off(lambda chunk: [{**with_finish(chunk, "error"), "error": error}])


def _failed_choice() -> Rewrite:
    return _broken_off(
        lambda chunk: [with_choice(with_finish(chunk, "error"), error=_PROVIDER_FAILED)]
    )


def _failed_delta() -> Rewrite:
    broken = _broken_off(lambda chunk: [with_delta(chunk, error=_RATE_LIMITED), DONE])
    return Rewrite(stream=broken.stream, body=lambda a: with_message(a, error=_RATE_LIMITED))


def _failed_event() -> Rewrite:
    data = to_json({"error": _PROVIDER_FAILED})
    return _broken_off(lambda chunk: [f"event: error\ndata: {data}\n\n".encode()])


# -- answers with other contents ------------------------------------------------------------------


def _in_place_of_words(
    deltas: list[Answer], message: Answer, finish_reason: str, native: str | None = None
) -> Rewrite:
    """Return the rewrite that sends ``deltas`` or ``message`` instead of the answer's words."""

    def stream(events: Events) -> Events:
        waiting = list(deltas)
        for event in events:
            if not isinstance(event, dict) or not (content_of(event) or is_end(event)):
                yield event
                continue
            yield from (before(event, **delta) for delta in waiting)
            waiting.clear()
            if is_end(event):
                yield with_finish(event, finish_reason, native)

    def body(answer: Answer) -> Answer:
        return with_finish(with_message(answer, **message), finish_reason, native)

    return Rewrite(stream=stream, body=body)


def _only_reasoning(finish_reason: str) -> Rewrite:
    return _in_place_of_words(
        [{"content": "", "reasoning": "hmm "}] * THOUGHTS,
        {"content": None, "reasoning": "hmm " * THOUGHTS},
        finish_reason,
    )


def _refused() -> Rewrite:
    refusal = {"content": None, "refusal": _REFUSAL}
    return _in_place_of_words([refusal], refusal, "content_filter", "refusal")


def _begun_with(*texts: str) -> Rewrite:
    """Return the rewrite that puts a piece with each of these texts before the first word."""

    def stream(events: Events) -> Events:
        waiting = list(texts)
        for event in events:
            if isinstance(event, dict) and (content_of(event) or is_end(event)):
                yield from (before(event, content=text) for text in waiting)
                waiting.clear()
            yield event

    def body(answer: Answer) -> Answer:
        content = choice_of(answer)["message"]["content"] or ""
        return with_message(answer, content="".join(texts) + content)

    return Rewrite(stream=stream, body=body)


def _each_chunk(change: Callable[[Answer], Event]) -> Callable[[Events], Events]:
    return lambda events: (change(event) if isinstance(event, dict) else event for event in events)


def _each_word(change: Change) -> Callable[[Events], Events]:
    return _each_chunk(lambda chunk: change(chunk) if content_of(chunk) else chunk)


def _content(change: Callable[[Any], Any]) -> Rewrite:
    """Return the rewrite of the content of each delta or of the message."""
    return Rewrite(
        stream=_each_word(lambda chunk: with_delta(chunk, content=change(content_of(chunk)))),
        body=lambda a: with_message(a, content=change(choice_of(a)["message"]["content"])),
    )


def _in_parts(text: Any) -> list[Answer]:
    return [{"type": "text", "text": text}]


def _annotated() -> Rewrite:
    def annotate(chunk: Answer) -> Answer:
        if not is_end(chunk) or chunk.get("usage") is not None:
            return chunk
        return with_choice(chunk, annotations=[_ANNOTATION])

    return Rewrite(
        stream=_each_chunk(annotate), body=lambda a: with_message(a, annotations=[_ANNOTATION])
    )


def _with_bom(events: Events) -> Events:
    yield b"\xef\xbb\xbf"
    yield from events


# -- usage ----------------------------------------------------------------------------------------


def _usage(change: Change) -> Rewrite:
    def with_usage(answer: Answer) -> Answer:
        usage = answer.get("usage")
        return answer if usage is None else {**answer, "usage": change(usage)}

    return Rewrite(stream=_each_chunk(with_usage), body=with_usage)


def _paid_elsewhere(usage: Answer) -> Answer:
    details = {**usage["cost_details"], "upstream_inference_cost": usage["cost"]}
    return {**usage, "cost": 0, "is_byok": True, "cost_details": details}


def _without(member: str) -> Change:
    return lambda values: {name: value for name, value in values.items() if name != member}


def _usage_choice(*, present: bool) -> Rewrite:
    def stream(events: Events) -> Events:
        end: list[Answer] = []
        for event in events:
            if isinstance(event, dict) and event.get("usage") is not None:
                yield {**event, "choices": end if present else []}
                continue
            if is_end(event):
                end = [choice_of(event)]
            yield event

    return Rewrite(stream=stream)


# -- the list of models ---------------------------------------------------------------------------


def _odd_model(change: Change) -> Rewrite:
    """Return the rewrite of the first model in a list."""
    return Rewrite(
        body=lambda page: {**page, "data": [*map(change, page["data"][:1]), *page["data"][1:]]}
    )


def _priced(**prices: str) -> Change:
    return lambda model: {**model, "pricing": {**model["pricing"], **prices}}


def _in_pages(page: Answer) -> Answer:
    if len(page["data"]) < page["total_count"]:  # A further page stays as it is.
        return page
    following = {"next": f"/api/v1/models?offset={SHORT_PAGE}&limit=1000"}
    return {**page, "data": page["data"][:SHORT_PAGE], "links": following}


# -- the redirect to the app ----------------------------------------------------------------------


def _failed_callback(error: str, location: str) -> str:
    """Return the callback with an error (RFC 6749 section 4.1.2.1) in place of the code."""
    parts = urlsplit(location)
    dropped = ("code", "error", "error_description")
    query = parse_qsl(parts.query, keep_blank_values=True)
    kept = [(name, value) for name, value in query if name not in dropped]
    return parts._replace(query=urlencode([*kept, ("error", error)])).geturl()


REWRITES: Mapping[str, Rewrite] = {
    "finish_reason_error": _finished("error"),
    "network_error_finish": _finished("stop", "network_error"),
    "timeout_finish": _finished("timeout"),
    "content_filter": _finished("content_filter"),
    "safety_finish": _finished("stop", "SAFETY"),
    "error_in_delta": _failed_delta(),
    "error_chunk": _failed(_PROVIDER_FAILED),
    "error_on_choice": _failed_choice(),
    "error_event": _failed_event(),
    "key_limit_in_stream": _failed(_KEY_LIMIT),
    "relayed_401_in_stream": _failed(_RELAYED_401),
    "split_surrogates": _begun_with(*_HALVES),
    "lone_surrogate": _begun_with(_HALVES[0]),
    "only_reasoning": _only_reasoning("length"),
    "only_reasoning_stop": _only_reasoning("stop"),
    "usage_without_cost": _usage(_without("cost")),
    "usage_cost_null": _usage(lambda usage: {**usage, "cost": None}),
    "usage_byok": _usage(_paid_elsewhere),
    "usage_with_choice": _usage_choice(present=True),
    "usage_without_choice": _usage_choice(present=False),
    "annotations_on_choice": _annotated(),
    "refusal": _refused(),
    "null_content": _content(lambda _: None),
    "content_in_parts": _content(_in_parts),
    "bom": Rewrite(stream=_with_bom),
    "event_over_two_lines": Rewrite(stream=_each_chunk(over_two_lines)),
    "model_architecture_null": _odd_model(lambda model: {**model, "architecture": None}),
    "model_without_pricing": _odd_model(_without("pricing")),
    "model_without_completion_price": _odd_model(
        lambda model: {**model, "pricing": _without("completion")(model["pricing"])}
    ),
    "model_price_empty": _odd_model(_priced(completion="")),
    "model_price_nan": _odd_model(_priced(completion="NaN")),
    "model_price_per_route": _odd_model(_priced(prompt="-1", completion="-1")),
    "model_price_zero": _odd_model(_priced(prompt="0", completion="0")),
    "models_in_pages": Rewrite(body=_in_pages),
    "callback_temporarily_unavailable": Rewrite(
        location=partial(_failed_callback, "temporarily_unavailable")
    ),
    "callback_server_error": Rewrite(location=partial(_failed_callback, "server_error")),
    "callback_escaped_ampersand": Rewrite(location=lambda url: url.replace("&", "&amp;")),
}
