"""Machine instructions of the views and the callback. A busy machine hardly changes them."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Callable

from .. import CANDIDATES
from ..candidates import find
from ..tools.callgrind import counting
from ..tools.provider import running_provider
from ..tools.rounds import over
from ..tools.rows import Goal, Row, SkippedError
from .callback import callbacks_of
from .views import ROUTES, calls_of

_PROGRAM = "import sys; from benchmarks.subjects.instructions import obey; obey(*sys.argv[1:])"
_CALLBACK = "callback"
#: The quick form counts these only.
_QUICK = ("bare", "floor", "ours")


def run(rounds: int, quick: bool) -> list[Row]:
    """Count once, in thousands of instructions of one call."""
    times = 20 if quick else 100
    if shutil.which("valgrind") is None:
        raise SkippedError("valgrind is not installed: apt install valgrind")
    counts: dict[str, dict[str, list[float]]] = {key: {} for key in (*ROUTES, _CALLBACK)}
    with running_provider() as provider:
        for name in _QUICK if quick else CANDIDATES:
            candidate = find(name)
            keys = [*calls_of(candidate, candidate.create_app(provider.url))]
            if candidate.LOGIN is not None:
                keys.append(_CALLBACK)
            with counting(_PROGRAM, name, provider.url) as count:
                # The first runs fill caches, and callgrind translates the code.
                for key in keys * (2 if quick else 3):
                    count(f"{times} {key}")
                    counts[key][name] = [count("call") / times / 1000]
    unit = "thousand"
    rows = [
        Row(f"{what}, instructions", unit, counts[key], base, goal)
        for key, (what, base, goal) in ROUTES.items()
    ]
    more = over(counts["open"], "bare")
    rows.insert(
        1, Row("open view, over bare, instructions", unit, more, goal=Goal(most=8, of="value"))
    )
    goal = Goal(most=1.2)
    return [*rows, Row("callback, instructions", unit, counts[_CALLBACK], "floor", goal)]


def obey(name: str, provider_url: str) -> None:
    """Call the views that standard input names. The child process runs this."""
    candidate = find(name)
    app = candidate.create_app(provider_url)
    routes = calls_of(candidate, app)
    calls: list[Callable[[], object]] = []
    print("ready", flush=True)
    for line in sys.stdin:
        times, _, key = line.strip().partition(" ")
        if not key:
            for call in calls:
                call()
        elif key == _CALLBACK:
            calls = callbacks_of(candidate, app, int(times))
        else:
            calls = [routes[key]] * int(times)
        print("done", flush=True)
