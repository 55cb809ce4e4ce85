"""Machine instructions of the same views. A busy machine hardly changes them."""

from __future__ import annotations

import shutil
import sys

from .. import CANDIDATES
from ..candidates import find
from ..tools.callgrind import counting
from ..tools.provider import running_provider
from ..tools.rows import Row, SkippedError
from .views import ROUTES, calls_of

_TIMES = 100
_PROGRAM = "import sys; from benchmarks.subjects.instructions import obey; obey(*sys.argv[1:])"


def run(rounds: int, quick: bool) -> list[Row]:
    """Count once, in thousands of instructions of one call."""
    if quick:
        raise SkippedError("left out of the quick form")
    if shutil.which("valgrind") is None:
        raise SkippedError("valgrind is not installed: apt install valgrind")
    counts: dict[str, dict[str, list[float]]] = {key: {} for key in ROUTES}
    with running_provider() as provider:
        for name in CANDIDATES:
            keys = calls_of(find(name), find(name).create_app(provider.url))
            with counting(_PROGRAM, name, provider.url) as count:
                # The first two runs fill caches, and callgrind translates the code.
                for key in [*keys] * 3:
                    counts[key][name] = [count(key) / _TIMES / 1000]
    return [
        Row(f"{what}, instructions", "thousand", counts[key], base, goal)
        for key, (what, base, goal) in ROUTES.items()
    ]


def obey(name: str, provider_url: str) -> None:
    """Call the views that standard input names. The child process runs this."""
    candidate = find(name)
    calls = calls_of(candidate, candidate.create_app(provider_url))
    print("ready", flush=True)
    for line in sys.stdin:
        for _ in range(_TIMES):
            calls[line.strip()]()
        print("done", flush=True)
