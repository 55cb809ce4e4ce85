"""``python -m benchmarks``: measure, print the tables, write them to the documentation."""

from __future__ import annotations

import argparse
import os
import sys
import time
from collections.abc import Sequence
from importlib import import_module
from pathlib import Path

import pytest

from . import PEERS, pages, scale
from .tools.record import Record
from .tools.rows import Result, SkippedError

#: Modules of ``benchmarks.subjects``, in the order in which they run.
COMPARISON = (
    *("views", "stored_keys", "callback", "startup", "cookies", "instructions"),
    *("gunicorn", "example"),
)
SUBJECTS = (*COMPARISON, "storages")


def main(arguments: Sequence[str] | None = None) -> None:
    """Obey the command line."""
    options = _options(arguments)
    if options.read:
        record = Record.read(options.read)
        print(record.to_markdown())
    else:
        record = _measure(options)
    if options.json:
        record.write(options.json)
    if options.write_docs:
        pages.write(pages.COMPARISON, record.only(*COMPARISON).to_markdown())
        pages.write(pages.SCALE, scale.tables(record))


def _options(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks",
        description="Measure Flask-OpenRouter, its peers, hand-written views and bare Flask.",
    )
    add = parser.add_argument
    add("subjects", nargs="*", metavar="SUBJECT", help=f"one of {', '.join(SUBJECTS)}; all")
    add("--rounds", type=int, help="rounds of each measurement; 21, or 5 with --quick")
    add("--quick", action="store_true", default=bool(os.environ.get("QUICK")))
    add("--json", type=Path, metavar="FILE", help="write the figures of each round to this file")
    add("--read", type=Path, metavar="FILE", help="measure nothing, read what --json wrote")
    add("--write-docs", action="store_true", help="write the tables of a whole run into docs/")
    options = parser.parse_args(arguments)
    for name in options.subjects:
        if name not in SUBJECTS:
            parser.error(f"There is no subject {name!r}. There are: {', '.join(SUBJECTS)}.")
    if options.write_docs and (options.quick or options.subjects):
        parser.error("--write-docs needs all subjects, and not in the quick form.")
    return options


def _measure(options: argparse.Namespace) -> Record:
    rounds = options.rounds or (5 if options.quick else 21)
    record = Record.of_this_machine(rounds=rounds, quick=options.quick)
    try:
        for name in options.subjects or SUBJECTS:
            begin = time.monotonic()
            record.results.append(_run(name, rounds, options.quick))
            seconds = time.monotonic() - begin
            print(f"{name}: {record.results[-1].skipped or f'{seconds:.0f} s'}", file=sys.stderr)
    finally:
        # The finished subjects are shown even when a later one fails.
        print(record.to_markdown())
    return record


def _run(name: str, rounds: int, quick: bool) -> Result:
    try:
        return Result(name, import_module(f"benchmarks.subjects.{name}").run(rounds, quick))
    except ModuleNotFoundError as error:
        if error.name not in PEERS:
            raise
        return Result(name, skipped=f"{error.name} is not installed: pip install --group peers")
    except (SkippedError, pytest.skip.Exception) as error:
        # The servers of the tests skip when they are not installed.
        return Result(name, skipped=str(error))


if __name__ == "__main__":
    main()
