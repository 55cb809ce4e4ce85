"""How to limit what one visitor can occupy: a streamed answer keeps a thread busy."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager

from flask import current_app

from .problems import CROWDED, TOO_MANY, Refused

#: Most answers at the same time for one visitor, in each process.
MAX_OF_VISITOR = 4
#: Most answers in each process. Some threads are left for the other pages (see gunicorn.conf.py).
MAX_STREAMS = 56

_lock = threading.Lock()


@contextmanager
def place(visitor: str) -> Iterator[None]:
    """Take a place for an answer, before OpenRouter is asked. Raises :class:`Refused`."""
    # The visitors, once for each of their answers.
    places: list[str] = current_app.extensions.setdefault("streams", [])
    with _lock:
        if places.count(visitor) >= MAX_OF_VISITOR:
            raise Refused(TOO_MANY)
        if len(places) >= MAX_STREAMS:
            raise Refused(CROWDED)
        places.append(visitor)
    try:
        yield
    finally:
        with _lock:
            places.remove(visitor)
