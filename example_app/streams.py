"""How to limit what one visitor can occupy: a streamed answer keeps a thread busy."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager

from flask import current_app

from .problems import CROWDED, TOO_MANY, Refused

#: Most answers that one key pays for at the same time, in each process.
MAX_OF_KEY = 4
#: Most answers in each process. Some threads are left for the other pages (see gunicorn.conf.py).
MAX_STREAMS = 56


class Streams:
    """The answers under way in this process. A place is taken before OpenRouter is asked."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        #: The hash of the key that pays, once for each answer.
        self.places: list[str] = []

    @contextmanager
    def place(self, key_hash: str) -> Iterator[None]:
        """Take a place for a block. Raises :class:`Refused` if there is none."""
        with self._lock:
            if self.places.count(key_hash) >= MAX_OF_KEY:
                raise Refused(TOO_MANY)
            if len(self.places) >= MAX_STREAMS:
                raise Refused(CROWDED)
            self.places.append(key_hash)
        try:
            yield
        finally:
            with self._lock:
                self.places.remove(key_hash)


def get_streams() -> Streams:
    """Return the app's streams."""
    streams: Streams = current_app.extensions["streams"]
    return streams
