"""Faults on demand: errors, delays, odd answers and broken connections for matching requests."""

from __future__ import annotations

import math
import re
import threading
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from types import EllipsisType
from typing import Any

from flask import json

from .amounts import MAX_DELAY, is_amount, is_delay
from .errors import is_shallow
from .labels import is_encodable
from .rewrites import REWRITES

# RFC 9110 section 5.1, and the characters of section 5.5 that Latin-1 can encode.
_HEADER_NAME = re.compile(r"[!#$%&'*+\-.^_`|~0-9A-Za-z]+", re.ASCII)
_HEADER_VALUE = re.compile(r"[\t\x20-\x7e\xa0-\xff]*")


@dataclass(frozen=True, kw_only=True)
class Fault:
    """A fault: the failure of a request, and which requests it hits.

    :param status: respond with this status, 200 to 599 (200 for a response with a wrong body).
    :param body: with ``status``: a string or bytes are sent unchanged, other values as JSON. The
        default is the documented error of that status.
    :param stream_body: with ``status``: a string that is sent instead of ``body``, as
        ``text/event-stream``, to a request whose JSON has ``"stream": true``.
    :param headers: with ``status``: headers of the response, such as ``Retry-After``.
    :param rewrite: change the real response as the named fault of this name does.
    :param delay: wait this many seconds first, a day at most. Alone, the request is then served as
        usual.
    :param reset: drop the connection without a response.
    :param path: only requests to exactly this path, or, if it ends in ``*``, to a path that begins
        so.
    :param method: only requests with this method.
    :param lasts: only requests within this many seconds, by the emulator's clock.
    :param processed: the request takes effect, and the fault replaces only its response.
    :param mid_stream: a streamed chat response starts normally and breaks in the middle: with an
        error chunk of ``status``, or with ``reset`` by a dropped connection.
    :param name: the name of a named fault, for lists.
    :raises ValueError: if the fault would do nothing, or a value is invalid.
    """

    status: int | None = None
    body: Any = None
    stream_body: str | None = None
    headers: Mapping[str, str] = field(default_factory=dict)
    rewrite: str | None = None
    delay: float = 0.0
    reset: bool = False
    path: str | None = None
    method: str | None = None
    lasts: float | None = None
    processed: bool = False
    mid_stream: bool = False
    name: str | None = None

    def __post_init__(self) -> None:
        if self.status is not None and not (type(self.status) is int and 200 <= self.status <= 599):
            raise ValueError("status must be an integer from 200 to 599")
        if not is_delay(self.delay):
            raise ValueError(f"delay must be a number of seconds from 0 to {MAX_DELAY:g}")
        if self.lasts is not None and not is_amount(self.lasts):
            raise ValueError("lasts must be a number of seconds, zero or more")
        for name in ("reset", "processed", "mid_stream"):
            if not isinstance(getattr(self, name), bool):
                raise ValueError(f"{name} must be True or False")
        for name in ("path", "method", "name", "stream_body", "rewrite"):
            if not isinstance(getattr(self, name), (str, type(None))):
                raise ValueError(f"{name} must be a string")
        if self.rewrite is not None and self.rewrite not in REWRITES:
            raise ValueError(f"there is no rewrite {self.rewrite[:40]!r}")
        _check_headers(self.headers)
        _check_body(self.body)
        if self.stream_body is not None and not is_encodable(self.stream_body):
            raise ValueError("stream_body must be text that UTF-8 can encode")
        self._check_combination()

    def _check_combination(self) -> None:
        does_nothing = self.status is None and not self.reset and self.rewrite is None
        if does_nothing and (self.mid_stream or not self.delay):
            raise ValueError("a fault needs a name, a status, a delay or a reset")
        if self.processed and self.mid_stream:
            raise ValueError("processed and mid_stream exclude each other")
        if self.rewrite is not None and (self.status is not None or self.reset or self.mid_stream):
            raise ValueError("rewrite excludes status, reset and mid_stream")
        if self.stream_body is not None and self.status is None:
            raise ValueError("stream_body needs a status")

    def matches(self, method: str, path: str) -> bool:
        """Whether this fault hits a request with this method and path."""
        if self.method not in (None, method):
            return False
        if self.path is not None and self.path.endswith("*"):
            return path.startswith(self.path[:-1])
        return self.path in (None, path)

    def as_json(self) -> dict[str, Any]:
        """Return the fault for the control API."""
        body = self.body.decode("latin-1") if isinstance(self.body, bytes) else self.body
        return {**asdict(self), "body": body}


class QueuedFault:
    """A fault in the queue. As a context manager, it is removed at the end of the block.

    The queue makes it.

    :param fault: the fault.
    :param left: how many requests it still hits.
    :param until: when it ends, in seconds since the epoch.
    :param remove: the function that removes it from the queue.
    """

    def __init__(
        self, fault: Fault, left: float, until: float, remove: Callable[[Any], None]
    ) -> None:
        self.fault = fault
        self._left = left
        self._until = until
        self._remove = remove

    def __enter__(self) -> QueuedFault:
        return self

    def __exit__(self, *error: object) -> None:
        self.remove()

    def remove(self) -> None:
        """Remove the fault, whatever is left of its ``times``."""
        self._remove(self)

    def use(self) -> None:
        """Count one matching request."""
        self._left -= 1

    def is_over(self, now: float) -> bool:
        """Whether the fault hits no more requests."""
        return self._left < 1 or now >= self._until


class FaultQueue:
    """The queued faults. A request takes the oldest fault that matches it."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._waiting: list[QueuedFault] = []

    def add(
        self, fault: Fault, times: int | EllipsisType | None = ..., *, now: float = 0.0
    ) -> QueuedFault:
        """Queue a fault for the next ``times`` matching requests (``None``: all of them).

        By default it is one request, or all requests while ``fault.lasts``.

        :raises ValueError: if ``times`` is not a positive integer or ``None``.
        """
        if isinstance(times, EllipsisType):
            times = 1 if fault.lasts is None else None
        if times is not None and (type(times) is not int or times < 1):
            raise ValueError("times must be a positive integer, or None for every request")
        left = math.inf if times is None else times
        until = math.inf if fault.lasts is None else now + fault.lasts
        queued = QueuedFault(fault, left, until, self.remove)
        with self._lock:
            self._waiting.append(queued)
        return queued

    def remove(self, queued: object) -> None:
        """Drop a fault, whatever is left of its ``times``."""
        with self._lock:
            self._waiting = [each for each in self._waiting if each is not queued]

    def take(self, method: str, path: str, now: float = 0.0) -> Fault | None:
        """Return the fault for this request, if any, and count its ``times`` down."""
        with self._lock:
            self._waiting = [each for each in self._waiting if not each.is_over(now)]
            for queued in self._waiting:
                if queued.fault.matches(method, path):
                    queued.use()
                    return queued.fault
        return None

    def faults(self, now: float = 0.0) -> list[Fault]:
        """Return the queued faults, oldest first."""
        with self._lock:
            return [each.fault for each in self._waiting if not each.is_over(now)]

    def clear(self) -> None:
        """Drop every fault."""
        with self._lock:
            self._waiting.clear()


def _check_headers(headers: object) -> None:
    if not isinstance(headers, Mapping) or not all(
        isinstance(text, str) for pair in headers.items() for text in pair
    ):
        raise ValueError("headers must map names to strings")
    for name, value in headers.items():
        if not _HEADER_NAME.fullmatch(name) or not _HEADER_VALUE.fullmatch(value):
            raise ValueError(f"{name[:40]!r} is not a header that HTTP can send")


def _check_body(body: object) -> None:
    """Check that the body can be sent: JSON can contain more than a response."""
    if isinstance(body, str) and not is_encodable(body):
        raise ValueError("body must be text that UTF-8 can encode")
    if isinstance(body, (str, bytes)):
        return
    try:
        is_valid = is_shallow(json.loads(json.dumps(body)))
    except (TypeError, ValueError, RecursionError):
        is_valid = False
    if not is_valid:
        raise ValueError("body must be a string, bytes, or JSON that is not nested too deeply")
