"""A time limit for statements of PostgreSQL's drivers, which wait for an answer for ever.

The kernel of a server that is frozen still acknowledges packets, so TCP notices nothing.
"""

from __future__ import annotations

import os
import socket
import threading
import time
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Callable, Generator

    import psycopg
    from sqlalchemy import Engine

_KEY: Final = "openrouter_time_limit"


def limit_psycopg(engine: Engine, seconds: float) -> None:
    """Let this engine's connections give up, and close, when an answer takes longer."""
    import psycopg
    from sqlalchemy import event

    class LimitedConnection(psycopg.Connection[Any]):
        def wait(self, gen: Any, *args: Any, **kwargs: Any) -> Any:
            # The driver resumes the generator several times a second.
            return super().wait(_limited(self, gen, time.monotonic() + seconds), *args, **kwargs)

    def connect(_: Any, __: Any, arguments: Any, parameters: Any) -> Any:
        return LimitedConnection.connect(*arguments, **parameters)

    event.listen(engine, "do_connect", connect)


def _limited(
    connection: psycopg.Connection[Any], waiting: Generator[Any, Any, Any], end: float
) -> Generator[Any, Any, Any]:
    from psycopg import OperationalError

    try:
        wanted = next(waiting)
        while True:
            ready = yield wanted
            if not ready and time.monotonic() > end:
                connection.pgconn.finish()
                raise OperationalError("the server did not answer in time")
            wanted = waiting.send(ready)
    except StopIteration as result:
        return result.value


class TimeLimit:
    """Shuts a socket down when an answer takes longer than ``seconds``. Thread-safe.

    For psycopg2, which waits inside of PostgreSQL's library. The thread that watches the time runs
    only while something is waited for, or was shortly before.
    """

    def __init__(
        self,
        seconds: float,
        *,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._seconds = seconds
        self._clock = clock
        self._sleep = sleep
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
            self._waiting[self._last] = (self._clock() + self._seconds, socket_number)
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
            self._sleep(pause)
            with self._lock:
                self._end_overdue()
                if not self._waiting:
                    self._thread = None
                    return
                pause = max(next(iter(self._waiting.values()))[0] - self._clock(), 0.001)

    def _end_overdue(self) -> None:
        now = self._clock()
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
