"""A generator that is read in a thread of its own, so that its user need not wait for it."""

from __future__ import annotations

import threading
from collections.abc import Callable, Generator, Iterator
from queue import Empty, SimpleQueue
from typing import Generic, TypeVar

T = TypeVar("T")


class ReadAhead(Iterator[T], Generic[T]):
    """The items of a generator, which a thread reads until it ends or ``is_left()`` is true.

    :param patience: seconds to wait for an item.
    """

    def __init__(
        self, items: Generator[T, None, None], patience: float, is_left: Callable[[], bool]
    ) -> None:
        self._patience = patience
        self._is_left = is_left
        self._queue: SimpleQueue[T | Exception] = SimpleQueue()
        self._has_ended = False
        threading.Thread(
            target=self._read, args=(items,), name="flask_openrouter stream", daemon=True
        ).start()

    def __next__(self) -> T:
        """Return the next item.

        :raises TimeoutError: if there is none within ``patience`` seconds.
        """
        if self._has_ended or self._is_left():
            raise StopIteration
        try:
            item = self._queue.get(timeout=self._patience)
        except Empty:
            item = TimeoutError()
        else:
            self._has_ended = isinstance(item, Exception)
        if isinstance(item, Exception):
            raise item
        return item

    def _read(self, items: Generator[T, None, None]) -> None:
        end: Exception = StopIteration()
        try:
            for item in items:
                self._queue.put(item)
                if self._is_left():
                    items.close()
        except Exception as error:
            end = error
        self._queue.put(end)
