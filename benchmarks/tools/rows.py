"""Rows of the table: the figures of each round with their medians, quartiles and ratios."""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal, NamedTuple


class SkippedError(Exception):
    """A subject cannot run here. The message names what is missing."""


@dataclass(frozen=True)
class Goal:
    """Bound on one column of a row: on its ratio to the row's base, or on the figure itself."""

    most: float | None = None
    least: float | None = None
    of: Literal["ratio", "value"] = "ratio"
    column: str = "ours"


class Figure(NamedTuple):
    """A median with its lower and upper quartile."""

    median: float
    lower: float
    upper: float

    @classmethod
    def of(cls, samples: Sequence[float]) -> Figure:
        """Sum up one sample per round. Raises ValueError when there is none."""
        if len(samples) == 1:
            return cls(*samples, *samples, *samples)
        lower, median, upper = statistics.quantiles(samples, n=4, method="inclusive")
        return cls(median, lower, upper)


@dataclass(frozen=True)
class Row:
    """One line of the table: one thing that was measured, for every column that has it.

    ``samples``: column (a candidate, or a number of rows) to its figures, one per round.
    ``unit``: "µs", "ms", "MiB", "bytes", "/s", or "" for a count. ``base``: the column that
    counts as 1.00. Ratios are taken round by round, so a slow round is slow for both columns.
    """

    what: str
    unit: str
    samples: Mapping[str, Sequence[float]]
    base: str | None = None
    goal: Goal | None = None

    def figures(self) -> dict[str, Figure]:
        """Return the median and quartiles of each column."""
        return {column: Figure.of(samples) for column, samples in self.samples.items()}

    def ratios(self) -> dict[str, Figure]:
        """Return the ratio of each other column to the base. Empty without a base."""
        if self.base is None or 0 in self.samples[self.base]:
            return {}
        base = self.samples[self.base]
        return {
            column: Figure.of([a / b for a, b in zip(samples, base, strict=True)])
            for column, samples in self.samples.items()
            if column != self.base
        }

    def is_met(self) -> bool | None:
        """Whether the goal is met. None without a goal, or if its column was not measured."""
        if self.goal is None:
            return None
        figures = self.ratios() if self.goal.of == "ratio" else self.figures()
        if self.goal.column not in figures:
            return None
        median, most, least = figures[self.goal.column].median, self.goal.most, self.goal.least
        return (most is None or median <= most) and (least is None or median >= least)


@dataclass(frozen=True)
class Result:
    """The rows of one subject, or the reason why it was not run."""

    name: str
    rows: list[Row] = field(default_factory=list)
    skipped: str = ""
