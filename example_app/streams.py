"""How to limit what one visitor can occupy: answers under way are counted, and can be stopped."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from flask import current_app

from flask_openrouter.client import CompletionStream

from .problems import CROWDED, TOO_MANY, Refused

#: Most answers that one key pays for at the same time, in each process.
MAX_OF_KEY = 4
#: Most answers in each process. Some threads are left for the other pages (see gunicorn.conf.py).
MAX_STREAMS = 56


@dataclass(eq=False)
class Place:
    """A place for one answer. ``is_stopped``: the visitor has disconnected, so none must begin."""

    key_hash: str
    stream: CompletionStream | None = None
    is_stopped: bool = False


class Streams:
    """The answers under way in this process. A place is taken before OpenRouter is asked."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._places: set[Place] = set()

    @contextmanager
    def place(self, key_hash: str) -> Iterator[Place]:
        """Take a place for a block. Raises :class:`Refused` if there is none."""
        with self._lock:
            if len(self._of(key_hash)) >= MAX_OF_KEY:
                raise Refused(TOO_MANY)
            if len(self._places) >= MAX_STREAMS:
                raise Refused(CROWDED)
            place = Place(key_hash)
            self._places.add(place)
        try:
            yield place
        finally:
            with self._lock:
                self._places.discard(place)

    def stop(self, key_hash: str) -> None:
        """Stop all answers that this key pays for."""
        with self._lock:
            places = self._of(key_hash)
        for place in places:
            place.is_stopped = True
            if place.stream is not None:
                place.stream.close()

    def _of(self, key_hash: str) -> list[Place]:
        return [place for place in self._places if place.key_hash == key_hash]


def get_streams() -> Streams:
    """Return the app's streams."""
    streams: Streams = current_app.extensions["streams"]
    return streams
