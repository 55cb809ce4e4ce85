"""Waiting for a condition, for as long as a slow machine may need."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

T = TypeVar("T")

#: Seconds, ten times as many as the slowest condition normally takes.
PATIENCE = 60.0


def wait_until(
    condition: Callable[[], T],
    seconds: float = PATIENCE,
    failure: Callable[[], str] = lambda: "it did not happen",
) -> T:
    """Call ``condition`` until its result is true, and return this result.

    Raises AssertionError with the text of ``failure`` after so many seconds.
    """
    deadline = time.monotonic() + seconds
    while not (result := condition()):
        if time.monotonic() > deadline:
            raise AssertionError(f"within {seconds} s: {failure()}")
        time.sleep(0.01)
    return result


def fastest(measure: Callable[[], float], *, below: float) -> float:
    """Measure up to three times until the result is below this, for what a busy machine delays."""
    return next((seconds for _ in range(2) if (seconds := measure()) < below), None) or measure()


def wait_until_stopped(pid: int) -> None:
    """Wait until no thread of a process runs after SIGSTOP, which takes a moment for each.

    A process that has just ended does not run either, although its parent may be frozen.
    """

    def state(thread: Path) -> str:
        return (thread / "stat").read_text().rpartition(") ")[2][0]

    threads = Path(f"/proc/{pid}/task")
    wait_until(lambda: {*map(state, threads.iterdir())} <= {"T", "Z"})
