"""Start-up: import time and memory of a fresh process."""

from __future__ import annotations

import sys
from functools import partial

from .. import CANDIDATES
from ..candidates import all_candidates
from ..tools.processes import figure_of
from ..tools.provider import running_provider
from ..tools.rounds import interleaved, over
from ..tools.rows import Goal, Row

_IMPORT = """
import sys, time
import flask
begin = time.perf_counter()
exec(sys.argv[1])
print((time.perf_counter() - begin) * 1000)
"""

# Not getrusage(): it also counts the memory of the process that started this one.
_PEAK = """
import sys
from benchmarks.candidates import GUARDED, connected, find
candidate = find(sys.argv[1])
browser, _ = connected(candidate, candidate.create_app(sys.argv[2]))
for _ in range(100):
    browser.get(GUARDED)
status = dict(line.split(":", 1) for line in open("/proc/self/status"))
print(int(status["VmHWM"].split()[0]) / 1024)
"""


def run(rounds: int, quick: bool) -> list[Row]:
    """Measure the import in milliseconds and, on Linux, the peak memory in MiB."""
    imports = {
        name: partial(figure_of, _IMPORT, candidate.IMPORTS)
        for name, candidate in all_candidates().items()
        if candidate.IMPORTS
    }
    for measure in imports.values():
        measure()  # Compiles, and brings the files into memory.
    times = interleaved(imports, min(rounds, 3) if quick else rounds)
    goal = Goal(most=12, of="value")
    rows = [Row("import, over import flask", "ms", times, base="floor", goal=goal)]
    if sys.platform == "linux":
        with running_provider() as provider:
            peaks = {name: partial(figure_of, _PEAK, name, provider.url) for name in CANDIDATES}
            # The peak hardly varies.
            memory = over(interleaved(peaks, 1 if quick else min(rounds, 7)), "bare")
        goal = Goal(most=8, of="value")
        rows.append(Row("peak memory, over bare Flask", "MiB", memory, goal=goal))
    return rows
