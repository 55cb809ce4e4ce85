"""How to draw a chart as SVG on the server, without a script or a library.

The picture stretches with the page, so it contains bars and lines only. The text around it is HTML,
which stays readable on a phone.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

#: The height of the drawing and the width of a bar's step, in the drawing's units.
HEIGHT = 100.0
STEP = 10.0
#: The part of its step that a bar fills.
_FILL = 0.7


@dataclass(frozen=True)
class Bar:
    """A rectangle in the drawing, and its meaning in words."""

    x: float
    y: float
    width: float
    height: float
    title: str


@dataclass(frozen=True)
class Chart:
    """A drawn chart. ``top``: the value at the upper edge."""

    bars: list[Bar]
    width: float
    height: float
    top: float


def draw(values: Sequence[tuple[float, str]]) -> Chart:
    """Return the chart of these values and titles. The scale begins at zero."""
    top = _round_up(max((value for value, _ in values), default=0.0))
    bars = []
    for i, (value, title) in enumerate(values):
        # Even the smallest value must be visible.
        height = max(value / top * HEIGHT, 1.0) if value > 0 else 0.0
        x = i * STEP + STEP * (1 - _FILL) / 2
        bars.append(
            Bar(round(x, 2), round(HEIGHT - height, 2), STEP * _FILL, round(height, 2), title)
        )
    return Chart(bars, len(values) * STEP, HEIGHT, top)


def _round_up(value: float) -> float:
    """Return the next of 1, 2, 5, 10, 20, ... times a power of ten."""
    if value < 1e-12:
        return 1.0
    power = 10.0 ** math.floor(math.log10(value))
    return next(step * power for step in (1, 2, 5, 10) if value <= step * power * (1 + 1e-9))
