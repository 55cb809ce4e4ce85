"""Rules for the tests themselves: where they are, and no verdict by the speed of the machine."""

from __future__ import annotations

import ast
import re
from collections import Counter
from collections.abc import Iterator

from project_files import ROOT, project_files

#: Sleeps a little between two looks, for all tests.
POLLING = "tests/support/polling.py"
#: Clocks that measure how long something took.
CLOCKS = {"monotonic", "monotonic_ns", "perf_counter", "perf_counter_ns"}
#: A reason why the line may depend on time. It stands on the line, or above it.
REASON = re.compile(r"#.*\btime: \S+")
#: Seconds. A longer sleep keeps a process alive, and nothing is checked after it.
SHORT = 1.0


def hasty_lines(source: str) -> list[str]:
    """Return the lines that sleep for a moment, or compare a duration with a bound."""
    lines = source.splitlines()
    if not any(word in source for word in ("sleep(", *CLOCKS)):
        return []
    tree = ast.parse(source)
    found = sorted({number for node in ast.walk(tree) for number in _hasty_in(node)})
    return [
        f"{number}: {lines[number - 1].strip()}"
        for number in found
        if not any(REASON.search(line) for line in lines[max(0, number - 2) : number])
    ]


def _hasty_in(node: ast.AST) -> Iterator[int]:
    if isinstance(node, ast.Call) and _name_of(node.func) == "sleep" and node.args:
        seconds = node.args[0]
        # Zero lets other coroutines run, and waits for nothing.
        if isinstance(seconds, ast.Constant) and 0 < float(seconds.value) < SHORT:
            yield node.lineno
    if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
        durations = {
            ast.unparse(target)
            for each in ast.walk(node)
            if isinstance(each, ast.Assign) and _is_duration(each.value, set())
            for target in each.targets
        }
        for each in ast.walk(node):
            if isinstance(each, ast.Compare) and any(
                _is_duration(side, durations) for side in (each.left, *each.comparators)
            ):
                yield each.lineno


def _is_duration(node: ast.AST, durations: set[str]) -> bool:
    """Whether this is a difference of two readings of a clock, or a name for one."""
    if isinstance(node, ast.Name):
        return node.id in durations
    return (
        isinstance(node, ast.BinOp)
        and isinstance(node.op, ast.Sub)
        and any(isinstance(e, ast.Call) and _name_of(e.func) in CLOCKS for e in ast.walk(node))
    )


def _name_of(function: ast.expr) -> str:
    return ast.unparse(function).rpartition(".")[2]


def test_no_verdict_depends_on_speed() -> None:
    """Wait for an event with ``polling.wait_until``, or give a reason: ``# time: …``."""
    hasty = {
        path: hasty_lines((ROOT / path).read_text(encoding="utf-8"))
        for path in (str(path.relative_to(ROOT)) for path in project_files("tests"))
        if path.endswith(".py") and path != POLLING
    }
    assert {path: lines for path, lines in hasty.items() if lines} == {}


def test_what_is_hasty_would_be_noticed() -> None:
    source = """
import asyncio, time
def wait():
    time.sleep(0.1)
    started = time.monotonic()
    assert time.monotonic() - started < 2
    taken = time.perf_counter() - started
    assert 1 < taken
async def wait_too():
    await asyncio.sleep(0.5)
"""
    assert [int(line.partition(":")[0]) for line in hasty_lines(source)] == [4, 6, 8, 10]


def test_what_waits_for_an_event_or_has_a_reason_is_fine() -> None:
    source = """
import time
def wait():
    time.sleep(30)
    deadline = time.monotonic() + 5
    while time.monotonic() < deadline:
        time.sleep(0.1)  # time: between two looks
    # time: the default is 5 seconds.
    assert time.monotonic() - deadline < 4
async def wait_too():
    await asyncio.sleep(0)
"""
    assert hasty_lines(source) == []


def test_every_folder_of_the_package_has_a_folder_of_tests() -> None:
    folders = {path.parent.name for path in (ROOT / "flask_openrouter").glob("*/__init__.py")}
    tested = {path.parent.name for path in (ROOT / "tests").glob("*/test_*.py")}
    assert folders - tested == set()


def test_every_file_has_a_name_of_its_own() -> None:
    names = Counter(path.name for path in project_files("tests") if path.match("test_*.py"))
    assert {name for name, times in names.items() if times > 1} == set()
