"""Misbehaviour on demand: what the next requests get instead of, or on top of, their answer."""

from __future__ import annotations

import math
import threading
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from .amounts import is_amount


@dataclass(frozen=True, kw_only=True)
class Fault:
    """What goes wrong with a request.

    :param status: answer this status instead (100 is not one; 200 with a nonsense body is).
    :param body: with ``status``: a string or bytes as they are, anything else as JSON; by default
        the documented error of that status.
    :param headers: with ``status``: headers of the answer, such as ``Retry-After``.
    :param delay: wait this many seconds first. Alone, the request is then served as usual.
    :param reset: drop the connection without an answer.
    :param path: only requests to exactly this path.
    :param method: only requests with this method.
    :param processed: the request takes effect and only its answer is lost to the fault.
    :param mid_stream: a streamed chat answer starts well and breaks in the middle: with an error
        chunk of ``status``, or with ``reset`` by a dropped connection.
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
        """Whether this fault is meant for such a request."""
        return self.path in (None, path) and self.method in (None, method)

    def as_json(self) -> dict[str, Any]:
        """Return the fault for the control API."""
        body = self.body.decode("latin-1") if isinstance(self.body, bytes) else self.body
        return {**asdict(self), "body": body}


class FaultQueue:
    """The faults to come, first in first out among those that match."""

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
        """Drop what is left of a fault."""
        with self._lock:
            self._waiting = [entry for entry in self._waiting if entry[0] is not handle]

    def take(self, method: str, path: str) -> Fault | None:
        """Return the fault for this request, if any, and count it down."""
        with self._lock:
            for index, (handle, fault, left) in enumerate(self._waiting):
                if fault.matches(method, path):
                    self._waiting[index] = (handle, fault, left - 1)
                    if left <= 1:
                        del self._waiting[index]
                    return fault
        return None

    def faults(self) -> list[Fault]:
        """Return what is waiting."""
        with self._lock:
            return [fault for _, fault, _ in self._waiting]

    def clear(self) -> None:
        """Drop every fault."""
        with self._lock:
            self._waiting.clear()
