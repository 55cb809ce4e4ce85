"""The most memory that a process ever held, over one with bare Flask."""

from __future__ import annotations

import sys
from functools import partial

from .candidates import modules
from .programs import figure_of
from .provider import running_provider
from .report import Goal, Row, SkippedError
from .rounds import interleaved, over

NAME = "memory"

_PROGRAM = """
import sys
from benchmarks.peak import peak_of
print(peak_of(*sys.argv[1:]))
"""


def run(rounds: int, quick: bool) -> list[Row]:
    """Measure, in MiB, a process that makes the app, signs one visitor in and serves 100 views."""
    if sys.platform != "linux":
        raise SkippedError("the peak is read from /proc, which only Linux has")
    # It hardly varies.
    rounds = 1 if quick else min(rounds, 7)
    with running_provider(tls=True) as provider:
        peaks = {
            name: partial(figure_of, _PROGRAM, module, provider.url)
            for name, module in modules().items()
        }
        figures = interleaved(peaks, rounds)
    return [
        Row(
            "peak memory, over bare Flask",
            "MiB",
            over(figures, "bare"),
            goal=Goal(most=8, of="value"),
        )
    ]
