"""OpenRouter's answers to ``chat/completions``, streamed or whole (OpenRouter docs, "Streaming").

::

    reply = session.post("chat/completions", json={..., "stream": True}, stream=True)
    with read_stream(reply) as stream:
        for text in stream.iter_text():
            print(text, end="")
    print(stream.completion.usage)
"""

from __future__ import annotations

import contextlib
import re
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping
from dataclasses import replace
from itertools import islice
from types import TracebackType
from typing import TYPE_CHECKING, Any, TypeAlias, cast

from ..errors import InvalidAnswerError, OpenRouterError, ProviderError, TransportError
from .base_url import OPENROUTER
from .completions import Completion, CompletionSum, SurrogateJoiner, choices_of, size_of
from .events import MAX_EVENT_BYTES, EventReader, ServerSentEvent, without_bom
from .readahead import ReadAhead
from .responses import clean_message, error_in, error_in_event
from .spending import note_error_of

if TYPE_CHECKING:
    import requests

#: The most characters of one answer that are kept for ``completion``, and of events that wait.
_MAX_KEPT = 128 * 1024 * 1024
#: Words for an answer that broke off. OpenRouter may pass a provider's on with
#: ``finish_reason: "stop"``. Observed: ``network_error``, ``insufficient_system_resource``.
_BROKEN_OFF = re.compile(
    r"error|fail|insufficient_system|overload|time_?d?_?out|unavailable|abort|cancel|interrupt"
    r"|connection|network|disconnect|lost|closed|unexpected_e",
    re.IGNORECASE,
)
#: Words for a call of a tool that cannot be read. The answer is whole if it has other calls.
_NO_CALL = re.compile("malformed|unexpected_tool", re.IGNORECASE)
_TEXTS = ("text", "reasoning", "refusal")
#: A part, and the number of characters in the events up to it.
_Part: TypeAlias = "tuple[Completion, int]"


def broken_off(part: Completion) -> ProviderError | None:
    """Return the error of an answer that broke off, as far as its ``finish_reason`` tells."""
    reason, native = part.finish_reason or "", part.native_finish_reason or ""
    is_broken = _BROKEN_OFF.search(f"{reason} {native}") is not None
    if reason != "tool_calls":
        is_broken = is_broken or _NO_CALL.search(native) is not None
    if not is_broken or reason == "content_filter":
        return None
    return ProviderError(502, clean_message(native or reason), provider_name=part.provider)


def ended_early() -> TransportError:
    """Return the error of a stream that ended before its answer was complete."""
    return TransportError("OpenRouter's stream ended before the answer was complete", was_sent=True)


def read_stream(
    reply: requests.Response | Iterable[bytes],
    *,
    heartbeat: float | None = None,
    max_event_bytes: int = MAX_EVENT_BYTES,
) -> CompletionStream:
    """Read a streamed answer; see :class:`CompletionStream`.

    :param reply: the response of ``session.post("chat/completions", json={..., "stream": True},
        stream=True)``, or the bytes of one. A whole answer, as without ``stream``, is read as well.
    :param heartbeat: seconds of silence after which an empty part is yielded, again and again. A
        view that writes something for it learns that its visitor has left, and can close the
        stream. The stream is then read in a thread of its own, from now on.
    :param max_event_bytes: the largest event, and the largest answer that is not streamed.
    :raises APIError: the response has an error status, or is an error with 200 instead of a stream.
        The class tells which. The errors of a stream itself are raised when it is read.
    :raises InvalidAnswerError: the response is neither a stream nor an answer nor an error.
    :raises TransportError: the connection broke while such a response was read.
    """
    return CompletionStream(reply, heartbeat=heartbeat, max_event_bytes=max_event_bytes)


def read_completion(
    reply: requests.Response | Iterable[bytes], *, max_bytes: int = MAX_EVENT_BYTES
) -> Completion:
    """Read a whole answer.

    :param reply: the response of ``session.post("chat/completions", json=...)``, or its bytes. A
        streamed answer is read to its end.
    :param max_bytes: the largest answer.
    :raises APIError: an error, with an error status or with 200. The class tells which.
    :raises InvalidAnswerError: neither an answer nor an error.
    :raises TransportError: the connection broke before the answer was complete.
    """
    with read_stream(reply, max_event_bytes=max_bytes) as stream:
        for _ in stream:
            pass
    return stream.completion


class CompletionStream:
    """A streamed answer: an iterator over its parts, each a :class:`Completion`, as they arrive.

    Surrogate pairs that are split over two parts are joined, and lone halves are replaced. A
    member of a type that OpenRouter does not document counts as left out.

    Iteration raises these, each after all parts that arrived before:

    :raises APIError: an error in the stream. The class tells which.
    :raises InvalidAnswerError: something that is neither a stream nor an answer, or is too large.
    :raises TransportError: the connection broke, or the stream ended, before the answer was
        complete.

    A ``with`` block closes the response. :meth:`close` may also be called in another thread.
    ``reply``, ``heartbeat`` and ``max_event_bytes`` are the arguments of :func:`read_stream`.
    """

    def __init__(
        self,
        reply: requests.Response | Iterable[bytes],
        *,
        heartbeat: float | None = None,
        max_event_bytes: int = MAX_EVENT_BYTES,
    ) -> None:
        self._reply = response = cast("Any", reply)
        self._max_event_bytes = max_event_bytes
        self._base_url: str = OPENROUTER
        self._kept_key: Callable[[], str] | None = getattr(reply, "_kept_key", None)
        self._ahead: ReadAhead[_Part] | None = None
        self._is_closed = self._is_done = self._is_finished = False
        #: Characters that are kept, that arrived in events, and those of them that were yielded.
        self._size = self._arrived = self._yielded = 0
        #: The error of an answer that broke off, as far as its ``finish_reason`` tells.
        self._broken_off: OpenRouterError | None = None
        self._sum = CompletionSum()
        self._joiners = {name: SurrogateJoiner() for name in _TEXTS}
        self._waiting: deque[_Part] = deque()
        blocks: Iterable[bytes] = reply
        is_response = hasattr(reply, "iter_content")
        if is_response:
            from .blocks import blocks_of, error_of_status

            root, found, _ = str(response.url).partition("/api/v1/")
            self._base_url = root if found else OPENROUTER
            if error := error_of_status(response, self._base_url):
                raise error
            blocks = blocks_of(response)
        self._parts = self._read(blocks)
        if is_response and "event-stream" not in str(response.headers.get("content-type")).lower():
            # Not a stream, so it is read as a whole, and an error in it is raised here.
            self.start()
        if heartbeat is not None:
            self._ahead = ReadAhead(self._parts, heartbeat, lambda: self._is_closed)

    def __iter__(self) -> CompletionStream:
        return self

    def __next__(self) -> Completion:
        part, arrived = self._waiting.popleft() if self._waiting else self._next()
        self._yielded = max(self._yielded, arrived)
        self._sum.add(part)
        return part

    def _next(self) -> _Part:
        try:
            return next(self._ahead or self._parts)
        except TimeoutError:
            return Completion(), 0

    def __enter__(self) -> CompletionStream:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    @property
    def completion(self) -> Completion:
        """The parts that were yielded, added up."""
        return self._sum.result()

    @property
    def is_complete(self) -> bool:
        """Whether the end of the answer has arrived: ``[DONE]`` or a ``finish_reason``."""
        return self._broken_off is None and (self._is_done or self._is_finished)

    def start(self) -> CompletionStream:
        """Wait for the first words, so that an error in their place is raised here.

        Call it in the view: an error can then still become a response with a status of its own.
        Return the stream itself, which yields these words, too.
        """
        with contextlib.suppress(StopIteration):
            while not any(p.has_words or p.images for p, _ in islice(reversed(self._waiting), 1)):
                self._waiting.append(self._next())
        return self

    def iter_text(self) -> Iterator[str]:
        """Return an iterator over the words of the answer, or of the refusal in its place.

        Its ``close``, which a WSGI server calls, closes the stream.
        """
        return _TextIterator(self)

    def close(self) -> None:
        """Close the response, so that OpenRouter can stop. This ends reading in any thread."""
        self._is_closed = True
        try:
            self._parts.close()
        except ValueError:
            # Another thread is reading, and closes the response itself. Each of these errors means
            # that the connection is already closed.
            with contextlib.suppress(AttributeError, ValueError, RuntimeError, OSError):
                self._reply.raw.shutdown()
        else:
            self._close_reply()

    def _close_reply(self) -> None:
        getattr(self._reply, "close", lambda: None)()

    def _read(self, blocks: Iterable[bytes]) -> Generator[_Part, None, None]:
        try:
            failure = yield from self._read_events(blocks)
        finally:
            self._close_reply()
        halves: dict[str, Any] = {name: each.end() for name, each in self._joiners.items()}
        rest = Completion(**halves)
        if not rest.is_empty:
            yield rest, self._arrived
        # Not in an except clause: errors of the network refer to the connection.
        if failure is not None:
            raise failure

    def _read_events(self, blocks: Iterable[bytes]) -> Generator[_Part, None, Exception | None]:
        """Yield the parts, and return the error with which they end."""
        try:
            for event in self._events(blocks):
                if event.is_done:
                    self._is_done = True
                    return self._broken_off
                size = 0 if self._is_done else len(event.data)  # A whole answer has its own limit.
                self._arrived += size
                data = event.parsed()
                error = self._error_in(event, data)
                part = self._take(Completion.from_json(data or {}))
                self._size += size if part.usage else 0
                if data is not None and not (error is not None and part.is_empty):
                    yield part, self._arrived
                if error is not None:
                    note_error_of(self._reply, error)
                    return error
                if max(self._size, self._arrived - self._yielded) > _MAX_KEPT:
                    return InvalidAnswerError("OpenRouter's answer is too large")
        except Exception as error:
            return self._failure_of(error)
        return self._failure_of(None)

    def _events(self, blocks: Iterable[bytes]) -> Iterator[ServerSentEvent]:
        reader = EventReader(self._max_event_bytes)
        has_begun = False
        blocks = without_bom(blocks)
        for block in blocks:
            if not has_begun and (start := block.lstrip()):
                has_begun = True
                if start.startswith(b"{"):
                    yield self._whole_answer(start, blocks)
                    return
            yield from reader.read(block)
        last = reader.end()
        if has_begun and not reader.has_fields:
            raise InvalidAnswerError("OpenRouter's response is neither a stream nor an answer")
        # The standard drops an event that is not terminated. JSON shows itself whether it is whole,
        # and these may be the last words of the answer.
        if last is not None and (last.is_done or last.parsed() is not None):
            yield last

    def _whole_answer(self, start: bytes, blocks: Iterator[bytes]) -> ServerSentEvent:
        """Return a response that is one JSON object as an event."""
        body = bytearray(start)
        for block in blocks:
            body += block
            if len(body) > self._max_event_bytes:
                raise InvalidAnswerError("OpenRouter's answer is too large")
        whole = ServerSentEvent("", body.decode("utf-8", "replace"))
        data = whole.parsed()
        if data is None or not (any(choices_of(data)) or error_in(data)):
            raise InvalidAnswerError("OpenRouter's response is neither a stream nor an answer")
        self._is_done = True
        return whole

    def _error_in(
        self, event: ServerSentEvent, data: Mapping[str, Any] | None
    ) -> OpenRouterError | None:
        api_key = self._kept_key() if self._kept_key else None
        return error_in_event(event, data, base_url=self._base_url, api_key=api_key)

    def _take(self, part: Completion) -> Completion:
        """Return the part with whole characters, and note what it tells about the end."""
        texts: dict[str, Any] = {
            name: joiner.add(getattr(part, name)) for name, joiner in self._joiners.items()
        }
        if any(texts[name] != getattr(part, name) for name in texts):
            part = replace(part, **texts)
        self._size += size_of(part)
        self._is_finished = self._is_finished or part.finish_reason is not None
        # The usage may follow, so reading goes on.
        self._broken_off = broken_off(part) or self._broken_off
        return part

    def _failure_of(self, error: Exception | None) -> Exception | None:
        """Return the error to raise for one of reading, or for an end without ``[DONE]``."""
        if isinstance(error, OpenRouterError):
            return error
        failure: Exception = ended_early()
        if error is not None:
            from .blocks import transport_error

            failure = transport_error(error) or error
        # A caller's own mistake is raised in any case.
        if isinstance(failure, OpenRouterError):
            if self._is_closed or self.is_complete:
                return None
            return self._broken_off or failure
        return failure


class _TextIterator(Iterator[str]):
    """The words of a streamed answer; see :meth:`CompletionStream.iter_text`."""

    def __init__(self, stream: CompletionStream) -> None:
        self._stream = stream

    def __next__(self) -> str:
        for part in self._stream:
            if words := part.text or part.refusal:
                return words
        raise StopIteration

    def close(self) -> None:
        """Close the stream."""
        self._stream.close()
