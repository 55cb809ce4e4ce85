"""Server-sent events, read from bytes (HTML Standard, section 9.2, "Server-sent events")."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, NamedTuple

from ..errors import InvalidAnswerError
from .models import parse_leniently

#: The largest event, in bytes. An image in an answer is one event of several MiB.
MAX_EVENT_BYTES = 32 * 1024 * 1024

BOM = b"\xef\xbb\xbf"
_LINE_END = re.compile(rb"\r\n|\r|\n")


class ServerSentEvent(NamedTuple):
    """One event: its type, ``""`` if it has none, and its data."""

    kind: str
    data: str

    @property
    def is_done(self) -> bool:
        """Whether this is ``[DONE]``, the end of OpenRouter's streams."""
        return self.data.strip() == "[DONE]"

    def parsed(self) -> Mapping[str, Any] | None:
        """Return the JSON object that the data is; None for anything else."""
        return parse_leniently(self.data)


class EventReader:
    """A parser of server-sent events.

    ``has_fields``: whether anything was a field or a comment. Without one it is no event stream.

    :param max_bytes: the largest event; a larger one raises InvalidAnswerError.
    """

    def __init__(self, max_bytes: int = MAX_EVENT_BYTES) -> None:
        self.has_fields: bool = False
        self._max_bytes = max_bytes
        self._line = bytearray()
        self._ends_with_cr = False
        self._kind = ""
        self._data: list[str] = []
        self._size = 0

    def read(self, block: bytes) -> Iterator[ServerSentEvent]:
        """Yield the events that end in the next bytes of the stream.

        :raises InvalidAnswerError: if an event is too large.
        """
        for line in self._lines(block):
            event = self._read_line(line)
            if event is not None:
                yield event
        if len(self._line) + self._size > self._max_bytes:
            raise InvalidAnswerError("OpenRouter's stream has an event that is too large")

    def end(self) -> ServerSentEvent | None:
        """Return the event that the stream ended within, if it has data.

        The standard drops it. The caller has to check that its data is whole.
        """
        line, self._line = bytes(self._line), bytearray()
        return (self._read_line(line) if line else None) or self._read_line(b"")

    def _lines(self, block: bytes) -> Iterator[bytes]:
        if not block:
            return
        if self._ends_with_cr:
            # The second half of a CR LF whose first half ended the block before.
            block = block.removeprefix(b"\n")
        self._ends_with_cr = block.endswith(b"\r")
        *whole, rest = _LINE_END.split(block)
        for line in whole:
            self._line += line
            yield bytes(self._line)
            self._line.clear()
        self._line += rest

    def _read_line(self, line: bytes) -> ServerSentEvent | None:
        if not line:
            return self._dispatch()
        name, _, value = line.decode("utf-8", "replace").partition(":")
        if name in {"", "data", "event", "id", "retry"}:
            self.has_fields = True
        value = value.removeprefix(" ")
        if name == "event":
            self._kind = value
        elif name == "data":
            self._data.append(value)
            self._size += len(line)
        return None

    def _dispatch(self) -> ServerSentEvent | None:
        event = ServerSentEvent(self._kind, "\n".join(self._data)) if self._data else None
        self._kind, self._data, self._size = "", [], 0
        return event


def without_bom(blocks: Iterable[bytes]) -> Iterator[bytes]:
    """Yield the blocks without a byte order mark at the very start, and without empty blocks."""
    blocks = iter(blocks)
    start = b""
    for block in blocks:
        start += block
        if len(start) >= len(BOM) or not BOM.startswith(start):
            break
    yield from filter(None, (start.removeprefix(BOM),))
    yield from filter(None, blocks)
