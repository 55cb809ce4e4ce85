"""A filter for server-sent events, in front of the packages that read them."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from typing import Any, Final

from ..errors import InvalidAnswerError, OpenRouterError, ProviderError
from .completions import Completion, choices_of
from .events import BOM, MAX_EVENT_BYTES, EventReader, ServerSentEvent
from .stream import broken_off, ended_early

_END_OF_EVENT: Final = re.compile(rb"(?:\r\n|\r(?!\n)|\n){2}")
#: Half of a surrogate pair, as JSON escapes it.
_HALF: Final = re.compile(rb"\\u[dD][89a-fA-F][0-9a-fA-F]{2}")
#: A pair, a lone half, which is six characters long, or any other escape.
_ESCAPE: Final = re.compile(
    rb"\\u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2}|%b|\\." % _HALF.pattern, re.DOTALL
)
#: Lists and objects within a choice in which the texts of a stream are looked for.
_MAX_DEPTH: Final = 10
#: The last events of ``/api/v1/responses``. ``response.failed`` is an error.
_LAST_EVENTS: Final = {
    f"response.{end}" for end in ("completed", "incomplete", "cancelled", "done")
}


def clean_json(raw: bytes) -> bytes:
    """Return JSON as valid UTF-8, with U+FFFD in place of lone halves of surrogate pairs."""
    encoding = json.detect_encoding(raw)
    if encoding != "utf-8" or not raw.isascii():
        raw = raw.decode(encoding, "replace").encode()
    if _HALF.search(raw) is None:
        return raw
    return _ESCAPE.sub(lambda found: rb"\ufffd" if len(found[0]) == 6 else found[0], raw)


def error_at_end(data: Mapping[str, Any]) -> ProviderError | None:
    """Return the error of an answer, one of whose choices broke off without an error object."""
    for choice in choices_of(data):
        end = {name: choice.get(name) for name in ("finish_reason", "native_finish_reason")}
        if any(end.values()):
            part = {"provider": data.get("provider"), "choices": [end]}
            error = broken_off(Completion.from_json(part))
            if error is not None:
                return error
    return None


class EventFilter:
    """The bytes of a stream of events, event by event, up to an error or an end that is too early.

    Surrogate pairs that are split over two events are joined, and lone halves are replaced.

    :param read_error: returns the error in an event whose data was parsed, or None.
    :param as_theirs: makes it an error of the package, too, given the error object.
    :param has_end: whether the stream ends with ``[DONE]``, a ``finish_reason`` or a last event.
        Without one, it broke off.
    """

    def __init__(
        self,
        read_error: Callable[[ServerSentEvent, Any], OpenRouterError | None],
        as_theirs: Callable[[OpenRouterError, object], OpenRouterError],
        *,
        has_end: bool = False,
    ) -> None:
        self._read_error = read_error
        self._as_theirs = as_theirs
        self._is_complete = not has_end
        self._broken_off: OpenRouterError | None = None
        #: Halves of pairs that the texts ended with, by the place of the text in its event.
        self._halves: dict[tuple[Any, ...], str] = {}
        #: The latest event with such a half.
        self._latest: Mapping[str, Any] = {}
        # A bytearray, and cut once per block: a picture is one event in very many blocks.
        self._rest = bytearray()
        self._has_begun = False

    def read(self, block: bytes) -> Iterator[bytes]:
        """Yield the events that are complete with this block."""
        begin = max(0, len(self._rest) - 3)
        self._rest += block
        if not self._has_begun:
            if len(self._rest) < len(BOM):
                return
            self._rest, self._has_begun = self._rest.removeprefix(BOM), True
        start = 0
        while (end := _END_OF_EVENT.search(self._rest, begin)) is not None:
            event, start = bytes(self._rest[start : end.end()]), end.end()
            begin = start
            yield from self._checked(event)
        del self._rest[:start]
        if len(self._rest) > MAX_EVENT_BYTES:
            too_large = InvalidAnswerError("OpenRouter's stream has an event that is too large")
            raise self._as_theirs(too_large, None)

    def last(self) -> Iterator[bytes]:
        """Yield what came after the last complete event, as a complete one. Check the end.

        The standard drops it. JSON shows itself whether it is whole.
        """
        if self._rest.strip():
            for event in self._checked(bytes(self._rest), is_cut=True):
                yield event.rstrip(b"\r\n") + b"\n\n"
        yield from self._replaced_halves()
        if self._broken_off is not None:
            raise self._as_theirs(self._broken_off, None)
        if not self._is_complete:
            raise ended_early()

    def _checked(self, raw: bytes, *, is_cut: bool = False) -> Iterator[bytes]:
        if not raw.isascii():
            # Bytes that are no UTF-8 would be an error in the package.
            raw = raw.decode("utf-8", "replace").encode()
        # To openai, a blank line after an event with an id is another event.
        raw = raw.lstrip(b"\r\n")
        if raw.startswith(b"{"):
            # An error instead of events, as none of these begins like this.
            raw = b"data: %b\n\n" % b"".join(raw.splitlines())
        reader = EventReader()
        event = next(reader.read(raw), None) or reader.end()
        if event is None:
            # A comment: openai reads an event without data as JSON.
            return
        if event.is_done:
            self._is_complete = True
            yield from self._replaced_halves()
            if self._broken_off is not None:
                raise self._as_theirs(self._broken_off, None)
            yield raw
            return
        body = event.parsed()
        if is_cut and body is None and event.kind != "error":
            raise ended_early()
        error = self._read_error(event, body)
        if error is not None:
            theirs = event.data if body is None else body.get("error") or body
            raise self._as_theirs(error, theirs)
        body = body or {}
        # The usage or an error may follow, so reading goes on.
        self._broken_off = error_at_end(body) or self._broken_off
        has_ended = any(each.get("finish_reason") for each in choices_of(body))
        if has_ended or str(body.get("type")) in _LAST_EVENTS:
            self._is_complete = True
        if self._halves or _HALF.search(raw):
            raw = clean_json(self._joined(event.kind, body) or raw)
        yield raw

    def _joined(self, kind: str, body: Mapping[str, Any]) -> bytes | None:
        """Return the event with the pairs joined that are split over two; None for the same."""
        place = (str(body.get("type")),)
        names = [name for name in ("choices", "delta") if name in body]
        joined = {**body, **{each: self._join(body[each], (*place, each)) for each in names}}
        if self._halves:
            self._latest = joined
        if joined != body:
            with suppress(RecursionError):
                return _event(joined, kind)
        return None

    def _join(self, value: Any, place: tuple[Any, ...]) -> Any:
        if isinstance(value, str):
            text = self._halves.pop(place, "") + value
            if "\ud800" <= text[-1:] <= "\udbff":
                text, self._halves[place] = text[:-1], text[-1]
            return text
        if len(place) > _MAX_DEPTH:
            return value
        if isinstance(value, dict):
            return {name: self._join(each, (*place, name)) for name, each in value.items()}
        if isinstance(value, list):
            return [self._join(each, (*place, _index(each, n))) for n, each in enumerate(value)]
        return value

    def _replaced_halves(self) -> Iterator[bytes]:
        """Yield an event with U+FFFD for the halves that were never completed, if there are any.

        Other texts than those of a choice or its ``delta`` would need more members to be valid.
        """
        choices = []
        for _, member, *place in self._halves:
            if member == "choices" and len(place) in (2, 3) and isinstance(place[-1], str):
                index, *names = place
                value: Any = "\ufffd"
                for name in reversed(names):
                    value = {name: value}
                choices.append({"index": index, "finish_reason": None, **value})
        self._halves.clear()
        plain = {k: v for k, v in self._latest.items() if not isinstance(v, dict | list)}
        if choices:
            yield _event({**plain, "choices": choices}, "")


def _index(value: object, number: int) -> int:
    """Return the index that an object in a list has in the whole answer."""
    index = value.get("index") if isinstance(value, dict) else None
    return index if isinstance(index, int) else number


def _event(data: Mapping[str, Any], kind: str) -> bytes:
    head = f"event: {kind}\n" if kind else ""
    return f"{head}data: {json.dumps(data)}\n\n".encode()
