"""Interleaved rounds: each candidate once in a round, in an order that rotates."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Hashable, Iterable, Mapping
from time import perf_counter_ns
from typing import TypeVar

Name = TypeVar("Name", bound=Hashable)


def interleaved(
    measurements: Mapping[Name, Callable[[], float]], rounds: int
) -> dict[Name, list[float]]:
    """Measure each candidate once in a round; return the figures of each, one per round.

    Whatever slows the machine down slows all candidates, and none of them is always first.
    """
    names = list(measurements)
    figures: dict[Name, list[float]] = {name: [] for name in names}
    for number in range(rounds):
        start = number % len(names)
        for name in names[start:] + names[:start]:
            figures[name].append(measurements[name]())
    return figures


def median_time(calls: Iterable[Callable[[], object]]) -> float:
    """Return the median time of these calls in microseconds. Each is timed by itself."""
    times = []
    for call in calls:
        begin = perf_counter_ns()
        call()
        times.append(perf_counter_ns() - begin)
    return statistics.median(times) / 1000


def over(figures: Mapping[str, list[float]], base: str) -> dict[str, list[float]]:
    """Return by how much the other figures exceed those of ``base``, round by round."""
    return {
        name: [figure - least for figure, least in zip(own, figures[base], strict=True)]
        for name, own in figures.items()
        if name != base
    }
