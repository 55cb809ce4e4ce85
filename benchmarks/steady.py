"""Memory over many requests in one process, and connections under many threads."""

from __future__ import annotations

import gc
import itertools
import os
import statistics
import time
import tracemalloc
from collections.abc import Callable
from typing import Final

from flask_openrouter.login.spent import SpentStates

from . import crowd
from .browser import call
from .provider import running_provider
from .report import Goal, Row
from .watch import resident

NAME: Final = "steady"
#: Requests, logins, and the part of them that is traced too, which takes four times as long.
_FULL: Final = (100_000, 10_000, 10)
_QUICK: Final = (3_000, 300, 10)
_SAMPLES: Final = 20


def run(rounds: int, quick: bool) -> list[Row]:
    """Measure everything once. Raises :class:`SkippedError` without PostgreSQL or Redis."""
    del rounds
    requests, logins, part = _QUICK if quick else _FULL
    seconds = itertools.count(1_800_000_000)
    with running_provider(tls=False) as provider:
        # Some seconds for each login: what it leaves behind, it leaves for ten minutes.
        app = crowd.create_app(provider.url, extension={"clock": lambda: next(seconds)})
        guarded_app = crowd.create_app(provider.url)
        environ = crowd.log_in(guarded_app).environ("/guarded")
        rows = [
            *_steady("guarded requests", lambda: call(guarded_app, environ), requests, part),
            *_steady("logins", lambda: crowd.log_in(app), logins, part),
        ]
    return [*rows, _spent_state_row(), *crowd.measure(2 if quick else 10)]


def _steady(what: str, work: Callable[[], object], times: int, part: int) -> list[Row]:
    memory = []
    begin = time.process_time()
    for _ in range(_SAMPLES):
        for _ in range(times // _SAMPLES):
            work()
        gc.collect()
        memory.append(resident(os.getpid()))
    cpu = (time.process_time() - begin) / times
    # What is loaded and cached on first use is in the first tenth.
    start = _SAMPLES // 10
    slope = statistics.linear_regression(range(start, _SAMPLES), memory[start:]).slope
    traced = _traced_growth(work, times // part)
    early, late = f"after {times // 10:,}", f"after {times:,}"
    return [
        Row(
            f"memory over {times:,} {what}",
            "MiB",
            {early: [memory[start - 1] / 2**20], late: [memory[-1] / 2**20]},
            base=early,
            goal=Goal(most=1.01, column=late),
        ),
        Row(
            f"growth for each of {times:,} {what}",
            "bytes",
            {
                "of the process": [slope / (times // _SAMPLES)],
                f"of its objects, over {times // part:,}": [traced],
            },
        ),
        Row(f"processor time of one of {times:,} {what}", "µs", {"each": [cpu * 1e6]}),
    ]


def _traced_growth(work: Callable[[], object], times: int) -> float:
    """Return how many bytes of Python's memory one more run of the work keeps."""
    tracemalloc.start()
    try:
        for _ in range(times // 2):
            work()
        gc.collect()
        before = tracemalloc.get_traced_memory()[0]
        for _ in range(times // 2):
            work()
        gc.collect()
        return (tracemalloc.get_traced_memory()[0] - before) / (times // 2)
    finally:
        tracemalloc.stop()


def _spent_state_row() -> Row:
    """What one finished login takes until no code of it can come back any more."""
    count = 10_000
    states = SpentStates(600)
    tracemalloc.start()
    try:
        before = tracemalloc.get_traced_memory()[0]
        for number in range(count):
            states.claim(f"{number:016}", 1_800_000_000.0 + number / 1000)
        kept = tracemalloc.get_traced_memory()[0] - before
    finally:
        tracemalloc.stop()
    what = "a finished login, remembered by its process for ten minutes"
    return Row(what, "bytes", {"each": [kept / count]})
