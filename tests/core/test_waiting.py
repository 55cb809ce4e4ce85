"""Threads of one process: no visitor waits for the storage to answer another."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

from flask import Flask
from visitor import Visitor

from flask_openrouter.emulator import Emulator
from flask_openrouter.storage.memory import MemoryStorage


class MeetingStorage(MemoryStorage):
    """Answers nobody before two have asked."""

    def __init__(self) -> None:
        super().__init__()
        self.meeting: threading.Barrier | None = None

    def get(self, owner_id: str) -> str | None:
        if self.meeting is not None:
            self.meeting.wait(5)
        return super().get(owner_id)


def test_no_visitor_waits_for_the_lookup_of_another(
    make_app: Callable[..., Flask], emulator: Emulator
) -> None:
    """functools.cached_property holds one lock for all objects of a class until Python 3.12."""
    storage = MeetingStorage()
    app = make_app({"storage": storage})
    visitors = [Visitor(app), Visitor(app)]
    for visitor in visitors:
        visitor.connect(emulator)
    storage.meeting = threading.Barrier(2)
    with ThreadPoolExecutor(2) as pool:
        keys = set(pool.map(lambda visitor: visitor.key, visitors))
    assert len(keys) == 2
    assert None not in keys
