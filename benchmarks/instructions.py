"""How many machine instructions one call takes, by callgrind: hardly different in each run."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from . import ROOT
from .candidates import find, modules
from .provider import running_provider
from .report import Goal, Row, SkippedError
from .views import guarded_call, login_call, refused_call

NAME = "instructions"

_TIMES = 100
_PROGRAM = "import sys; from benchmarks.instructions import obey; obey(*sys.argv[1:])"
#: What the child is asked to do, and the base and goal of the row.
_ROUTES = {
    "login": ("login route", "floor", Goal(most=1.05)),
    "guarded": ("guarded view", "bare", None),
    "refused": ("guarded view refused", "floor", None),
}


def run(rounds: int, quick: bool) -> list[Row]:
    """Count once, in thousands of instructions per call; starting up is not counted."""
    if quick:
        raise SkippedError("left out of the quick form")
    if shutil.which("valgrind") is None:
        raise SkippedError("valgrind is not installed: apt install valgrind")
    counts: dict[str, dict[str, list[float]]] = {route: {} for route in _ROUTES}
    with running_provider(tls=False) as provider:
        for name, module in modules().items():
            with _counted(module, provider.url) as count:
                for route in _ROUTES:
                    figure = count(route)
                    if figure is not None:
                        counts[route][name] = [figure]
    return [
        Row(f"{what}, instructions", "thousand", counts[route], base, goal)
        for route, (what, base, goal) in _ROUTES.items()
    ]


def obey(module: str, provider_url: str) -> None:
    """Make the calls of one candidate that standard input asks for: the child's program."""
    candidate = find(module)
    app = candidate.create_app(provider_url)
    calls = {
        "login": login_call(candidate, app),
        "guarded": guarded_call(candidate, app),
        "refused": refused_call(app),
    }
    for call in calls.values():
        _repeat(call, _TIMES)
    print("ready", flush=True)
    for line in sys.stdin:
        call = calls[line.strip()]
        _repeat(call, _TIMES)
        print("none" if call is None else "done", flush=True)


def _repeat(call: Callable[[], object] | None, times: int) -> None:
    for _ in range(times if call is not None else 0):
        assert call is not None
        call()


@contextmanager
def _counted(module: str, provider_url: str) -> Iterator[Callable[[str], float | None]]:
    """Yield a function that returns a route's instructions per call, or None if there is none."""
    with tempfile.TemporaryDirectory(prefix="openrouter-bench-") as folder:
        out = Path(folder, "out")
        child = subprocess.Popen(
            [
                *("valgrind", "--quiet", "--tool=callgrind", "--instr-atstart=no"),
                *(f"--callgrind-out-file={out}", "--combine-dumps=no"),
                *(sys.executable, "-c", _PROGRAM, module, provider_url),
            ],
            cwd=ROOT,
            env={**os.environ, "PYTHONHASHSEED": "0"},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        assert child.stdin is not None
        assert child.stdout is not None
        orders, answers = child.stdin, child.stdout

        def control(*options: str) -> None:
            command = ["callgrind_control", *options, str(child.pid)]
            subprocess.run(
                command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=True
            )

        def count(route: str) -> float | None:
            control("--zero")
            print(route, file=orders, flush=True)
            is_there = answers.readline() == "done\n"
            control("--dump")
            newest = max(Path(folder).glob("out.*"), key=lambda path: int(path.suffix[1:]))
            total = re.search(r"^(?:totals|summary): (\d+)", newest.read_text(), re.M)
            assert total is not None
            return int(total[1]) / _TIMES / 1000 if is_there else None

        try:
            assert answers.readline() == "ready\n"
            control("--instr=on")
            # What was translated without counting is translated again now, uncounted.
            for route in _ROUTES:
                count(route)
            yield count
        finally:
            child.kill()
            child.wait()
            orders.close()
            answers.close()
