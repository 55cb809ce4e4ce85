"""OpenRouter's streamed response: server-sent events, read in a thread of its own."""

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
    """The cost of the answer, which comes once, at the end. ``cost`` in USD."""

    tokens: int
    cost: float


@dataclass(frozen=True)
class End:
    """The regular end of the answer. ``cut``: whether it ended at the length limit."""

    cut: bool


@dataclass(frozen=True)
class Failure:
    """The end of an answer that broke off.

    ``status``: from OpenRouter, or None if the connection broke.
    """

    status: int | None = None


Part = Text | Usage | End | Failure


class Upstream:
    """The parts of a streamed ``chat/completions`` response (OpenRouter docs, "Streaming").

    A thread reads them, so that the app notices that the visitor has gone even while the model is
    silent.
    """

    def __init__(self, response: requests.Response) -> None:
        self._response = response
        self._parts: SimpleQueue[Part | None] = SimpleQueue()
        threading.Thread(target=self._read, name="upstream", daemon=True).start()

    def next(self, timeout: float) -> Part | None:
        """Return the next part, or None after the last one.

        Raises :class:`TimeoutError` if no part arrives within ``timeout`` seconds.
        """
        try:
            return self._parts.get(timeout=max(timeout, 0.0))
        except Empty:
            pass
        raise TimeoutError

    def close(self) -> None:
        """Close the connection to OpenRouter, so that the answer costs no more. Idempotent.

        This also ends the reading thread.
        """
        # Each of these errors means that the connection is already closed.
        with contextlib.suppress(ValueError, RuntimeError, OSError):
            self._response.raw.shutdown()

    def _read(self) -> None:
        try:
            for part in _parts_of(self._response):
                self._parts.put(part)
        # Every layer raises its own errors for a broken connection. Visitors see the same problem.
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
            # In mid-stream the HTTP status is already 200. The event contains the real one.
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
    """Yield the data of every event, and None for the final ``[DONE]``. Skip comments."""
    # chunk_size=None: yield data as it arrives, without waiting for a full buffer.
    for line in response.iter_lines(chunk_size=None):
        if not line.startswith(b"data:"):
            continue
        data = line[5:].strip()
        yield None if data == b"[DONE]" else json.loads(data)
