"""A time limit for statements of drivers that wait for an answer for ever (libpq's).

A server that is frozen still acknowledges packets, so TCP notices nothing. When the time is over,
the socket is shut down from another thread, and the driver finds its connection dead.
"""

from __future__ import annotations

import os
import socket
import threading
import time
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from sqlalchemy import Engine

_KEY: Final = "openrouter_time_limit"


class TimeLimit:
    """Ends what takes longer than ``seconds`` on a connection. One per engine; thread-safe.

    Its thread runs only while something is waited for, or was shortly before.
    """

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._renew()

    def _renew(self) -> None:
        # A forked process has neither the thread nor a lock that another thread held.
        self._pid = os.getpid()
        self._lock = threading.Lock()
        self._thread: threading.Thread | None = None
        #: When to end what, oldest first: by a number, the time and the socket.
        self._waiting: dict[int, tuple[float, int]] = {}
        self._last = 0

    def listen(self, engine: Engine) -> None:
        """Limit every statement of this engine."""
        from sqlalchemy import event

        def start(connection: Any, cursor: Any, *_: Any) -> None:
            connection.info[_KEY] = self.start(cursor.connection.fileno())

        def stop(connection: Any, *_: Any) -> None:
            self.stop(connection.info.pop(_KEY, 0))

        event.listen(engine, "before_cursor_execute", start)
        event.listen(engine, "after_cursor_execute", stop)
        event.listen(engine, "handle_error", lambda context: _stop_failed(self, context))

    def start(self, socket_number: int) -> int:
        """Begin to wait for an answer on this socket. Return a number for :meth:`stop`."""
        if self._pid != os.getpid():
            self._renew()
        with self._lock:
            self._last += 1
            self._waiting[self._last] = (time.monotonic() + self._seconds, socket_number)
            if self._thread is None:
                self._thread = threading.Thread(target=self._watch, daemon=True)
                self._thread.start()
            return self._last

    def stop(self, number: int) -> None:
        """The answer is there, or the connection is closed."""
        with self._lock:
            self._waiting.pop(number, None)

    def _watch(self) -> None:
        pause = self._seconds
        while True:
            time.sleep(pause)
            with self._lock:
                self._end_overdue()
                if not self._waiting:
                    self._thread = None
                    return
                pause = max(next(iter(self._waiting.values()))[0] - time.monotonic(), 0.001)

    def _end_overdue(self) -> None:
        now = time.monotonic()
        for number, (end, socket_number) in [*self._waiting.items()]:
            if end > now:
                return
            del self._waiting[number]
            # Under the lock: until stop() returns, the number belongs to this connection.
            with suppress(OSError), socket.socket(fileno=os.dup(socket_number)) as connection:
                connection.shutdown(socket.SHUT_RDWR)


def _stop_failed(limit: TimeLimit, context: Any) -> None:
    if context.connection is not None:
        limit.stop(context.connection.info.pop(_KEY, 0))
