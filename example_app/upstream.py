"""OpenRouter's answer as it comes in: server-sent events, read by a thread of their own."""

from __future__ import annotations

import contextlib
import json
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from queue import Empty, SimpleQueue
from typing import Any

import requests


@dataclass(frozen=True)
class Text:
    """A piece of the answer."""

    text: str


@dataclass(frozen=True)
class Usage:
    """What the answer cost: comes once, last. ``cost`` in USD."""

    tokens: int
    cost: float


@dataclass(frozen=True)
class End:
    """A proper end. ``cut``: at the length limit."""

    cut: bool


@dataclass(frozen=True)
class Failure:
    """The end of an answer that broke off. ``status``: OpenRouter's; None: the connection broke."""

    status: int | None = None


Part = Text | Usage | End | Failure


class Upstream:
    """Reads a streamed ``chat/completions`` (OpenRouter docs, "Streaming") into parts.

    A thread does the reading, so that a silent model does not keep us from noticing that the
    visitor has gone.
    """

    def __init__(self, response: requests.Response) -> None:
        self._response = response
        self._parts: SimpleQueue[Part | None] = SimpleQueue()
        threading.Thread(target=self._read, name="upstream", daemon=True).start()

    def next(self, timeout: float) -> Part | None:
        """Return the next part; None after the last one.

        Raises :class:`TimeoutError` when there is none for ``timeout`` seconds.
        """
        try:
            return self._parts.get(timeout=max(timeout, 0.0))
        except Empty:
            pass
        raise TimeoutError

    def close(self) -> None:
        """Stop paying: hang up on OpenRouter, which ends the reading thread. Idempotent."""
        # Each of the three says that there is nothing left to hang up.
        with contextlib.suppress(ValueError, RuntimeError, OSError):
            self._response.raw.shutdown()

    def _read(self) -> None:
        try:
            for part in _parts_of(self._response):
                self._parts.put(part)
        # Whatever a broken connection raises, in whichever layer: to the visitor it is the same.
        except Exception:
            self._parts.put(Failure())
        finally:
            self._response.close()
            self._parts.put(None)


def _parts_of(response: requests.Response) -> Iterator[Part]:
    cut = False
    for event in _events(response):
        if event is None:
            yield End(cut)
            return
        if "error" in event:
            # In mid-stream the status is 200 for good, and the event holds the real one.
            code = event["error"].get("code") if isinstance(event["error"], dict) else None
            yield Failure(code if isinstance(code, int) else 502)
            return
        for choice in event.get("choices") or ():
            if text := (choice.get("delta") or {}).get("content"):
                yield Text(str(text))
            cut = cut or choice.get("finish_reason") == "length"
        if usage := event.get("usage"):
            yield Usage(int(usage.get("total_tokens") or 0), float(usage.get("cost") or 0))
    yield Failure()


def _events(response: requests.Response) -> Iterator[dict[str, Any] | None]:
    """Yield the data of every event, and None for the final ``[DONE]``. Comments are skipped."""
    # chunk_size=None: hand over what has arrived, do not wait for a buffer to fill.
    for line in response.iter_lines(chunk_size=None):
        if not line.startswith(b"data:"):
            continue
        data = line[5:].strip()
        yield None if data == b"[DONE]" else json.loads(data)
