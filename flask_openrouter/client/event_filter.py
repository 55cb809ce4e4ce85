"""A filter for server-sent events, in front of the packages that read them."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import Any, Final

from ..errors import InvalidAnswerError, OpenRouterError, TransportError
from .events import BOM, MAX_EVENT_BYTES, EventReader, ServerSentEvent

_END_OF_EVENT: Final = re.compile(rb"(?:\r\n|\r(?!\n)|\n){2}")


class EventFilter:
    """The bytes of a stream of events, event by event, up to one that is an error.

    :param read_error: returns the error in an event whose data was parsed, or None.
    :param as_theirs: makes it an error of the package, too, given the error object.
    """

    def __init__(
        self,
        read_error: Callable[[ServerSentEvent, Any], OpenRouterError | None],
        as_theirs: Callable[[OpenRouterError, object], OpenRouterError],
    ) -> None:
        self._read_error = read_error
        self._as_theirs = as_theirs
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
            yield self._checked(event)
        del self._rest[:start]
        if len(self._rest) > MAX_EVENT_BYTES:
            too_large = InvalidAnswerError("OpenRouter's stream has an event that is too large")
            raise self._as_theirs(too_large, None)

    def last(self) -> bytes:
        """Return what came after the last complete event, as a complete one.

        The standard drops it. JSON shows itself whether it is whole.
        """
        return (
            self._checked(bytes(self._rest), is_cut=True) + b"\n\n" if self._rest.strip() else b""
        )

    def _checked(self, raw: bytes, *, is_cut: bool = False) -> bytes:
        if not raw.isascii():
            # Bytes that are no UTF-8 would be an error in the package.
            raw = raw.decode("utf-8", "replace").encode()
        reader = EventReader()
        event = next(reader.read(raw), None) or reader.end()
        if event is None:
            # A comment: openai reads an event without data as JSON.
            return b":\n\n"
        if event.is_done:
            return raw
        body = event.parsed()
        if is_cut and body is None and event.kind != "error":
            raise TransportError(
                "OpenRouter's stream ended before the answer was complete", was_sent=True
            )
        error = self._read_error(event, body)
        if error is None:
            return raw
        theirs = event.data if body is None else body.get("error") or body
        raise self._as_theirs(error, theirs)
