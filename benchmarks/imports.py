"""What a candidate adds to the start of an app, in fresh processes."""

from __future__ import annotations

from functools import partial

from .candidates import all_candidates, modules
from .programs import figure_of
from .report import Goal, Row
from .rounds import interleaved

NAME = "imports"

_IMPORT = """
import sys, time
import flask
begin = time.perf_counter()
exec(sys.argv[1])
print((time.perf_counter() - begin) * 1000)
"""

_SET_UP = """
import sys, time
import flask, benchmarks.candidates
begin = time.perf_counter()
from importlib import import_module
module = import_module(f"benchmarks.candidates.{sys.argv[1]}")
module.create_app("https://127.0.0.1:1")
print((time.perf_counter() - begin) * 1000)
"""


def run(rounds: int, quick: bool) -> list[Row]:
    """Measure imports, and imports with the making of an app, in milliseconds."""
    rounds = min(rounds, 3) if quick else rounds
    imports = {
        name: partial(figure_of, _IMPORT, one.IMPORTS)
        for name, one in all_candidates().items()
        if one.IMPORTS
    }
    set_ups = {name: partial(figure_of, _SET_UP, module) for name, module in modules().items()}
    for measure in imports.values() if quick else set_ups.values():
        measure()  # Compiles, and brings the files into memory.
    goal = Goal(most=12, of="value")
    rows = [Row("import, over import flask", "ms", interleaved(imports, rounds), "floor", goal)]
    if not quick:
        rows.append(Row("import and make the app", "ms", interleaved(set_ups, rounds)))
    return rows
