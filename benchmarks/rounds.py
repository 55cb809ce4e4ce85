"""Interleaved rounds: each candidate once per round, in an order that rotates."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Iterable, Mapping
from time import perf_counter_ns

#: Measures one candidate once and returns one figure.
Measurement = Callable[[], float]


def interleaved(measurements: Mapping[str, Measurement], rounds: int) -> dict[str, list[float]]:
    """Return each candidate's figures, one per round.

    What slows the machine down for a while then slows all of them, and none is always first.
    """
    names = list(measurements)
    figures: dict[str, list[float]] = {name: [] for name in names}
    for number in range(rounds):
        start = number % len(names)
        for name in names[start:] + names[:start]:
            figures[name].append(measurements[name]())
    return figures


def median_time(calls: Iterable[Callable[[], object]]) -> float:
    """Return the median time of these calls in microseconds, each timed by itself."""
    times = []
    for call in calls:
        begin = perf_counter_ns()
        call()
        times.append(perf_counter_ns() - begin)
    return statistics.median(times) / 1000


def over(figures: Mapping[str, list[float]], base: str) -> dict[str, list[float]]:
    """Return what the others take more than ``base``, round by round."""
    return {
        name: [figure - least for figure, least in zip(own, figures[base], strict=True)]
        for name, own in figures.items()
        if name != base
    }
