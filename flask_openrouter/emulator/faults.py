"""Faults on demand: errors, delays and broken connections for the next matching requests."""

from __future__ import annotations

import math
import threading
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from .amounts import is_amount


@dataclass(frozen=True, kw_only=True)
class Fault:
    """A fault: the failure of a request, and which requests it hits.

    :param status: respond with this status, 200 to 599 (200 for a response with a wrong body).
    :param body: with ``status``: a string or bytes are sent unchanged, other values as JSON. The
        default is the documented error of that status.
    :param headers: with ``status``: headers of the response, such as ``Retry-After``.
    :param delay: wait this many seconds first. Alone, the request is then served as usual.
    :param reset: drop the connection without a response.
    :param path: only requests to exactly this path.
    :param method: only requests with this method.
    :param processed: the request takes effect, and the fault replaces only its response.
    :param mid_stream: a streamed chat response starts normally and breaks in the middle: with an
        error chunk of ``status``, or with ``reset`` by a dropped connection.
    :raises ValueError: if the fault would do nothing, or a value has the wrong type.
    """

    status: int | None = None
    body: Any = None
    headers: Mapping[str, str] = field(default_factory=dict)
    delay: float = 0.0
    reset: bool = False
    path: str | None = None
    method: str | None = None
    processed: bool = False
    mid_stream: bool = False

    def __post_init__(self) -> None:
        if self.status is not None and not (type(self.status) is int and 200 <= self.status <= 599):
            raise ValueError("status must be an integer from 200 to 599")
        if not is_amount(self.delay):
            raise ValueError("delay must be a number of seconds, zero or more")
        for name in ("reset", "processed", "mid_stream"):
            if not isinstance(getattr(self, name), bool):
                raise ValueError(f"{name} must be True or False")
        for name in ("path", "method"):
            if not isinstance(getattr(self, name), (str, type(None))):
                raise ValueError(f"{name} must be a string")
        if not isinstance(self.headers, Mapping) or not all(
            isinstance(text, str) for pair in self.headers.items() for text in pair
        ):
            raise ValueError("headers must map names to strings")
        if self.status is None and not self.reset and (self.mid_stream or not self.delay):
            raise ValueError("a fault needs a status, a delay or a reset")
        if self.processed and self.mid_stream:
            raise ValueError("processed and mid_stream exclude each other")

    def matches(self, method: str, path: str) -> bool:
        """Whether this fault hits a request with this method and path."""
        return self.path in (None, path) and self.method in (None, method)

    def as_json(self) -> dict[str, Any]:
        """Return the fault for the control API."""
        body = self.body.decode("latin-1") if isinstance(self.body, bytes) else self.body
        return {**asdict(self), "body": body}


class FaultQueue:
    """The queued faults. A request takes the oldest fault that matches it."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._waiting: list[tuple[object, Fault, float]] = []

    def add(self, fault: Fault, times: int | None = 1) -> object:
        """Queue a fault for the next ``times`` matching requests (``None``: all of them).

        Return a handle for :meth:`remove`.

        :raises ValueError: if ``times`` is not a positive integer or ``None``.
        """
        if times is not None and (type(times) is not int or times < 1):
            raise ValueError("times must be a positive integer, or None for every request")
        handle = object()
        with self._lock:
            self._waiting.append((handle, fault, math.inf if times is None else times))
        return handle

    def remove(self, handle: object) -> None:
        """Drop a fault, whatever is left of its ``times``."""
        with self._lock:
            self._waiting = [entry for entry in self._waiting if entry[0] is not handle]

    def take(self, method: str, path: str) -> Fault | None:
        """Return the fault for this request, if any, and count its ``times`` down."""
        with self._lock:
            for index, (handle, fault, left) in enumerate(self._waiting):
                if fault.matches(method, path):
                    self._waiting[index] = (handle, fault, left - 1)
                    if left <= 1:
                        del self._waiting[index]
                    return fault
        return None

    def faults(self) -> list[Fault]:
        """Return the queued faults, oldest first."""
        with self._lock:
            return [fault for _, fault, _ in self._waiting]

    def clear(self) -> None:
        """Drop every fault."""
        with self._lock:
            self._waiting.clear()
