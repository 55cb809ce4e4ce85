"""What the parts of the benchmark hand in, and how it is summed up: rows, medians, quartiles."""

from __future__ import annotations

import statistics
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol


class SkippedError(Exception):
    """A part cannot run here; the message says what is missing."""


@dataclass(frozen=True)
class Goal:
    """What a row should show for one of its columns.

    ``of``: whether ``most`` and ``least`` speak of the column's figure or of its ratio to the
    row's base.
    """

    most: float | None = None
    least: float | None = None
    of: Literal["ratio", "value"] = "ratio"
    column: str = "ours"


@dataclass(frozen=True)
class Figure:
    """A median with its lower and upper quartile."""

    median: float
    lower: float
    upper: float

    @classmethod
    def of(cls, samples: Sequence[float]) -> Figure:
        """Sum up one figure per round. Raises ValueError when there is none."""
        if not samples:
            raise ValueError("A figure needs at least one sample.")
        if len(samples) == 1:
            return cls(samples[0], samples[0], samples[0])
        lower, median, upper = statistics.quantiles(samples, n=4, method="inclusive")
        return cls(median, lower, upper)


@dataclass(frozen=True)
class Row:
    """One line of the table: one thing that was measured, for every column that has it.

    ``samples``: column (a candidate, or a number of rows) to its figures, one per round; a figure
    of a round that timed many calls is their median. ``unit``: "µs", "ms", "MiB", "bytes", or ""
    for a count. ``base``: the column that counts as 1.00; ratios are taken round by round, so that
    a slow round is slow for both. ``note``: one sentence for the reader.
    """

    what: str
    unit: str
    samples: Mapping[str, Sequence[float]]
    base: str | None = None
    goal: Goal | None = None
    note: str = ""

    def figures(self) -> dict[str, Figure]:
        """The median and quartiles of each column."""
        return {column: Figure.of(samples) for column, samples in self.samples.items()}

    def ratios(self) -> dict[str, Figure]:
        """The same as ratios to the base, which is left out; empty without a base."""
        if self.base is None or 0 in self.samples[self.base]:
            return {}
        return {
            column: Figure.of([a / b for a, b in self._rounds(column)])
            for column in self.samples
            if column != self.base
        }

    def is_met(self) -> bool | None:
        """Whether the goal is met; None without a goal, or without what it speaks of."""
        if self.goal is None:
            return None
        figures = self.ratios() if self.goal.of == "ratio" else self.figures()
        if self.goal.column not in figures:
            return None
        figure = figures[self.goal.column].median
        if self.goal.most is not None:
            return figure <= self.goal.most
        return self.goal.least is None or figure >= self.goal.least

    def as_json(self) -> dict[str, Any]:
        """Everything, summed up and raw."""
        return {
            "what": self.what,
            "unit": self.unit,
            "base": self.base,
            "figures": {column: vars(figure) for column, figure in self.figures().items()},
            "ratios": {column: vars(figure) for column, figure in self.ratios().items()},
            "goal": vars(self.goal) if self.goal else None,
            "met": self.is_met(),
            "note": self.note,
            "samples": {column: list(samples) for column, samples in self.samples.items()},
        }

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> Row:
        """Return the row that :meth:`as_json` was made of."""
        goal = values["goal"]
        return cls(
            values["what"],
            values["unit"],
            values["samples"],
            values["base"],
            None if goal is None else Goal(**goal),
            values["note"],
        )

    def _rounds(self, column: str) -> Iterator[tuple[float, float]]:
        base = self.samples[self.base or column]
        yield from zip(self.samples[column], base, strict=True)


class Part(Protocol):
    """A module of this package that measures something."""

    #: One word, for ``python -m benchmarks NAME``.
    NAME: str

    def run(self, rounds: int, quick: bool) -> list[Row]:
        """Measure. ``quick``: take seconds rather than minutes. Raises :class:`SkippedError`."""


@dataclass(frozen=True)
class Result:
    """What came of one part."""

    name: str
    rows: list[Row] = field(default_factory=list)
    seconds: float = 0.0
    #: Why it was not run, if it was not.
    skipped: str = ""

    def as_json(self) -> dict[str, Any]:
        """Everything but the name."""
        return {
            "skipped": self.skipped,
            "seconds": round(self.seconds, 1),
            "rows": [row.as_json() for row in self.rows],
        }

    @classmethod
    def from_json(cls, name: str, values: Mapping[str, Any]) -> Result:
        """Return the result that :meth:`as_json` was made of."""
        rows = [Row.from_json(row) for row in values["rows"]]
        return cls(name, rows, values["seconds"], values["skipped"])
