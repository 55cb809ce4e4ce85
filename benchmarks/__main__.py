"""``python -m benchmarks``: measure, print the table, write the JSON."""

from __future__ import annotations

import argparse
import os
import sys
import time
from collections.abc import Sequence
from importlib import import_module
from pathlib import Path
from typing import cast

from . import scale
from .record import OURS_ALONE, Record
from .report import Part, Result, SkippedError

#: Modules of this package, in the order in which they run.
PARTS = (
    "views",
    "callback",
    "threads",
    "imports",
    "memory",
    "cookies",
    "instructions",
    "gunicorn",
    *OURS_ALONE,
    "stream",
)


def main(arguments: Sequence[str] | None = None) -> None:
    """Run what the command line says."""
    options = _parser().parse_args(arguments)
    if options.read:
        record = Record.read(options.read)
        print(record.to_markdown())
    else:
        record = _measure(options)
    is_complete = not (options.parts or options.quick or options.read)
    if options.json or is_complete:
        record.write(options.json or Path("benchmarks/results.json"))
    if options.write_docs:
        record.write_docs()
        if {*OURS_ALONE} <= {result.name for result in record.results if result.rows}:
            scale.write_page(record)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks",
        description="Measure Flask-OpenRouter beside its peers, hand-written views and bare Flask.",
    )
    parser.add_argument("parts", nargs="*", metavar="PART", help=f"of {', '.join(PARTS)}; all")
    parser.add_argument(
        "--quick",
        action="store_true",
        default=bool(os.environ.get("QUICK")),
        help="in about a minute, less exactly; also by QUICK=1 in the environment",
    )
    parser.add_argument("--rounds", type=int, help="rounds per measurement; 21, or 5 with --quick")
    parser.add_argument(
        "--json",
        type=Path,
        help="where to write the figures; benchmarks/results.json for a complete run",
    )
    parser.add_argument("--read", type=Path, metavar="JSON", help="measure nothing, read these")
    parser.add_argument("--write-docs", action="store_true", help="put the tables into docs/")
    return parser


def _measure(options: argparse.Namespace) -> Record:
    for name in options.parts:
        if name not in PARTS:
            sys.exit(f"There is no part {name!r}. There are: {', '.join(PARTS)}.")
    rounds = options.rounds or (5 if options.quick else 21)
    record = Record.of_this_machine(rounds=rounds, quick=options.quick)
    try:
        for name in options.parts or PARTS:
            result = _run(name, rounds, options.quick)
            record.results.append(result)
            print(f"{name}: {result.skipped or f'{result.seconds:.0f} s'}", file=sys.stderr)
    finally:
        # What was measured is shown even when a later part fails.
        print(record.to_markdown())
    return record


def _run(name: str, rounds: int, quick: bool) -> Result:
    begin = time.monotonic()
    try:
        part = cast(Part, import_module(f"benchmarks.{name}"))
        rows = part.run(rounds, quick)
    except SkippedError as error:
        return Result(name, skipped=str(error))
    return Result(name, rows, time.monotonic() - begin)


if __name__ == "__main__":
    main()
