"""A streamed answer: OpenRouter's server-sent events in, lines of JSON for our page out."""

from __future__ import annotations

import contextlib
import json
import threading
from collections.abc import Iterator
from queue import Empty, SimpleQueue
from typing import Any

import requests

from .problems import INTERRUPTED, Problem, out_of_credit, problem_for_status

#: How often the browser hears from us while the model is silent, in seconds. Only by writing does
#: a server notice that the browser has gone, so this bounds how long an abandoned answer costs.
HEARTBEAT = 0.5


class Answer:
    """One answer of ``chat/completions`` with ``"stream": true``, as lines of JSON.

    Lines: ``{"text": ...}``, ``{"cost": USD, "total_tokens": int}``, a problem (see
    ``problems.py``), ``{"done": true, "cut": bool}`` at a proper end, and empty lines as heartbeat.
    A thread of its own reads ``upstream``, so that a silent model cannot hold the heartbeat up.
    ``key_url`` is the page of the visitor's key, for the problem "out of credit".
    """

    def __init__(self, upstream: requests.Response, key_url: str) -> None:
        self._upstream = upstream
        self._key_url = key_url
        self._lines: SimpleQueue[str | None] = SimpleQueue()
        threading.Thread(target=self._read, name="answer", daemon=True).start()

    def __iter__(self) -> Iterator[str]:
        while True:
            try:
                line = self._lines.get(timeout=HEARTBEAT)
            except Empty:
                line = ""
            if line is None:
                return
            yield line + "\n"

    def close(self) -> None:
        """Stop paying: hang up on OpenRouter, which ends the reading thread. Idempotent."""
        # Each of the three says that there is nothing left to hang up.
        with contextlib.suppress(ValueError, RuntimeError, OSError):
            self._upstream.raw.shutdown()

    def _read(self) -> None:
        try:
            for part in self._parts():
                self._lines.put(json.dumps(part))
        # Whatever a broken connection raises, in whichever layer: to the visitor it is the same.
        except Exception:
            self._lines.put(json.dumps(INTERRUPTED.as_json()))
        finally:
            self._upstream.close()
            self._lines.put(None)

    def _parts(self) -> Iterator[dict[str, object]]:
        cut = False
        for event in _events(self._upstream):
            if event is None:
                yield {"done": True, "cut": cut}
                return
            if "error" in event:
                yield self._problem(event["error"]).as_json()
                return
            for choice in event.get("choices") or ():
                if text := (choice.get("delta") or {}).get("content"):
                    yield {"text": str(text)}
                cut = cut or choice.get("finish_reason") == "length"
            if usage := event.get("usage"):
                yield {"cost": usage.get("cost"), "total_tokens": usage.get("total_tokens")}
        yield INTERRUPTED.as_json()

    def _problem(self, error: object) -> Problem:
        code = error.get("code") if isinstance(error, dict) else None
        status = code if isinstance(code, int) else 502
        return out_of_credit(self._key_url) if status == 402 else problem_for_status(status)


def _events(upstream: requests.Response) -> Iterator[dict[str, Any] | None]:
    """Yield the data of every event, and None for the final ``[DONE]``."""
    # chunk_size=None: hand over what has arrived, do not wait for a buffer to fill.
    for line in upstream.iter_lines(chunk_size=None):
        if not line.startswith(b"data:"):
            continue
        data = line[5:].strip()
        yield None if data == b"[DONE]" else json.loads(data)
