"""An emulated OpenRouter whose streamed answers a test can hold and release.

::

    with held_model() as model:
        model.hold(after="question")  # every answer pauses after the word with this text
        ...
        model.release()
"""

from __future__ import annotations

import json
import select
import socket
import threading
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any

from chat_visitor import CHAT
from live_app import PATIENCE, live

from flask_openrouter.emulator import Emulator, create_emulator_app


class HeldModel:
    """A WSGI app: the emulator, with a gate in each streamed answer."""

    def __init__(self) -> None:
        self._app = create_emulator_app()
        self._condition = threading.Condition()
        self._hold_after: str | None = None
        self.emulator: Emulator = self._app.extensions["openrouter_emulator"]
        #: Set when the client disconnects from an answer that is held.
        self.left = threading.Event()

    def hold(self, after: str) -> None:
        """Pause every answer as soon as its text contains ``after`` ("": before the first word)."""
        with self._condition:
            self._hold_after = after
            self._condition.notify_all()

    def release(self) -> None:
        """Let all answers go on to their end."""
        with self._condition:
            self._hold_after = None
            self._condition.notify_all()

    def __call__(self, environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        chunks = self._app.wsgi_app(environ, start_response)
        if environ["PATH_INFO"] != CHAT:
            return chunks
        return self._gated(chunks, environ["werkzeug.socket"])

    def _gated(self, chunks: Any, connection: socket.socket) -> Iterator[bytes]:
        text = ""
        try:
            for chunk in chunks:
                words = _words_in(chunk)
                if (text or words) and not self._wait(text, connection):
                    return
                text += words
                yield chunk
        except GeneratorExit:
            # The server closes an answer that it could not write: the client had left before.
            self.left.set()
            raise
        finally:
            chunks.close()

    def _wait(self, text: str, connection: socket.socket) -> bool:
        """Wait until the answer may go on after ``text``. Return False if it has to end here."""
        deadline = time.monotonic() + PATIENCE
        with self._condition:
            while self._hold_after is not None and self._hold_after in text:
                if time.monotonic() > deadline:
                    # A test that waits for more of this answer fails, instead of hanging.
                    return False
                self._condition.wait(0.02)
                if _has_left(connection):
                    self.left.set()
                    return False
        return True


def _has_left(connection: socket.socket) -> bool:
    readable, _, _ = select.select([connection], [], [], 0)
    try:
        return bool(readable) and connection.recv(1, socket.MSG_PEEK) == b""
    except ConnectionError:
        return True


def _words_in(chunk: bytes) -> str:
    """Return the text of the server-sent events in this chunk."""
    words = ""
    for line in chunk.decode().splitlines():
        if line.startswith("data: {"):
            for choice in json.loads(line.removeprefix("data: ")).get("choices", ()):
                words += choice.get("delta", {}).get("content") or ""
    return words


@contextmanager
def held_model(host: str = "127.0.0.1") -> Iterator[HeldModel]:
    """Serve the model on loopback. Its emulator's ``url`` is the origin."""
    model = HeldModel()
    with live(model, host) as model.emulator.url:
        try:
            yield model
        finally:
            model.release()
            model.emulator.closing.set()
