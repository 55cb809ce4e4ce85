"""Run programs of others against the emulator: ``python tests/clients``.

Each program is installed into a folder of its own below ``.clients/``, and its driver runs with the
packages of that folder. The result is a table of Markdown. docs/emulator.md has the same table:
where it differs, this exits with 1, and ``--write-docs`` writes the new rows. A program that cannot
be installed is skipped; with ``OPENROUTER_TEST_REQUIRE_ALL=1``, it is a failure.
"""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path
from typing import Final

TESTS: Final = Path(__file__).resolve().parents[1]
ROOT: Final = TESTS.parent
sys.path[:0] = [str(TESTS), str(ROOT)]

from clients.installation import NotInstalledError, install, installed_version  # noqa: E402
from clients.programs import PROGRAMS, Program  # noqa: E402
from clients.table import Row, rows_of_docs, write_docs  # noqa: E402
from clients.visit import visit  # noqa: E402

from flask_openrouter.emulator import Emulator, run_in_thread  # noqa: E402

CACHE: Final = ROOT / ".clients"


def main() -> int:
    """Run the chosen programs, and print the table."""
    parser = argparse.ArgumentParser(prog="python tests/clients", description=__doc__)
    names = [program.name for program in PROGRAMS]
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"of {', '.join(names)}")
    parser.add_argument("--quick", action="store_true", help="only what CI runs")
    parser.add_argument("--newest", action="store_true", help="the newest versions")
    parser.add_argument("--write-docs", action="store_true", help="write into docs/emulator.md")
    arguments = parser.parse_args()
    if unknown := set(arguments.names) - set(names):
        parser.error(f"unknown: {', '.join(sorted(unknown))}; known: {', '.join(names)}")
    chosen = [
        program
        for program in PROGRAMS
        if (program.name in arguments.names or not arguments.names)
        and (program.is_quick or not arguments.quick)
    ]
    with run_in_thread() as emulator:
        rows = [_run(program, emulator, is_newest=arguments.newest) for program in chosen]
    print(*Row.HEAD, *rows, sep="\n")
    if arguments.write_docs:
        write_docs(rows, names)
    return _verdict(rows, is_newest=arguments.newest)


def _verdict(rows: list[Row], *, is_newest: bool) -> int:
    missing = sum(row.is_missing for row in rows)
    passed = sum(row.is_good for row in rows)
    failed = len(rows) - missing - passed
    documented = rows_of_docs()
    differing = [row.program for row in rows if row not in documented and not row.is_missing]
    if differing and not is_newest:
        print(f"docs/emulator.md says something else about {', '.join(differing)}.")
        print("If this is right, add --write-docs (make clients CLIENTS=--write-docs).")
        failed = failed or 1
    print(f"{passed} passed, {failed} failed, {missing} skipped")
    requires_all = os.environ.get("OPENROUTER_TEST_REQUIRE_ALL") == "1"
    return 1 if failed or (missing and requires_all) else 0


def _run(program: Program, emulator: Emulator, *, is_newest: bool) -> Row:
    print(f"… {program.name}", file=sys.stderr, flush=True)
    try:
        folder = install(program, CACHE, is_newest=is_newest)
        version = installed_version(program, folder)
    except NotInstalledError as error:
        return Row(program.name, program.version, "", f"{Row.MISSING}{error}")
    does, result = visit(program, folder, emulator)
    return Row(program.name, version, does, result)


if __name__ == "__main__":
    sys.exit(main())
