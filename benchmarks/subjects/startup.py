"""Start-up: time and memory of a fresh process."""

from __future__ import annotations

import sys
from functools import partial

from .. import CANDIDATES
from ..candidates import all_candidates, connected
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

_FIRST = """
import sys, time
begin = time.perf_counter()
from benchmarks.candidates import GUARDED, find
from benchmarks.tools.browser import Browser
browser = Browser(find(sys.argv[1]).create_app(sys.argv[2]))
browser.cookies = dict(pair.split("=", 1) for pair in sys.argv[3:])
assert browser.get(GUARDED).status_code == 200
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
    rows = [Row("import, over import flask", "ms", times, base="floor")]
    with running_provider() as provider:
        first = {}
        for name, candidate in all_candidates().items():
            browser, _ = connected(candidate, candidate.create_app(provider.url))
            cookies = [f"{cookie}={value}" for cookie, value in browser.cookies.items()]
            first[name] = partial(figure_of, _FIRST, name, provider.url, *cookies)
        figures = interleaved(first, min(rounds, 3) if quick else rounds)
        goal = Goal(most=1.15)
        rows.append(Row("fresh process, to the first guarded view", "ms", figures, "floor", goal))
        if sys.platform == "linux":
            peaks = {name: partial(figure_of, _PEAK, name, provider.url) for name in CANDIDATES}
            # The peak hardly varies.
            memory = over(interleaved(peaks, 1 if quick else min(rounds, 7)), "bare")
            goal = Goal(most=13, of="value")
            rows.append(Row("peak memory, over bare Flask", "MiB", memory, goal=goal))
    return rows
