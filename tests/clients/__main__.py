"""Run programs of others against the emulator: ``python tests/clients``.

Each program is installed into a folder of its own below ``.clients/``, and its driver runs with the
packages of that folder. The result is a table of Markdown. docs/emulator.md has the same table:
where it differs, this exits with 1, and ``--write-docs`` writes the new rows.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Final

HERE: Final = Path(__file__).resolve().parent
ROOT: Final = HERE.parents[1]
sys.path[:0] = [str(HERE), str(ROOT)]

from installation import NotInstalledError, install, installed_version  # noqa: E402
from programs import PROGRAMS, Program  # noqa: E402
from table import Row, rows_of_docs, write_docs  # noqa: E402

from flask_openrouter.emulator import Emulator, run_in_thread  # noqa: E402

CACHE: Final = ROOT / ".clients"
#: Seconds for one driver. aider and gptme import for a while.
_TIMEOUT: Final = 300
#: Nothing listens there. What a program sends to another machine fails at once.
_NOWHERE: Final = "http://127.0.0.1:9"


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
        write_docs(rows)
    return _verdict(rows, is_newest=arguments.newest)


def _verdict(rows: list[Row], *, is_newest: bool) -> int:
    failed = sum(not row.is_good for row in rows)
    documented = rows_of_docs()
    differing = [] if is_newest else [row.program for row in rows if row not in documented]
    if differing:
        print(f"docs/emulator.md says something else about {', '.join(differing)}.")
        print("If this is right, add --write-docs (make clients CLIENTS=--write-docs).")
    print(f"{len(rows) - failed} passed, {failed} failed")
    return 1 if failed or differing else 0


def _run(program: Program, emulator: Emulator, *, is_newest: bool) -> Row:
    print(f"… {program.name}", file=sys.stderr, flush=True)
    try:
        folder = install(program, CACHE, is_newest=is_newest)
        version = installed_version(program, folder)
    except NotInstalledError as error:
        return Row(program.name, program.version, "", f"cannot be installed: {error}")
    emulator.reset()
    done = _drive(program, folder, emulator)
    if done.returncode:
        print(done.stdout, done.stderr, sep="\n", file=sys.stderr)
        last = (done.stderr.strip() or "no message").splitlines()[-1]
        return Row(program.name, version, "", f"fails: {last}")
    if not emulator.requests:
        return Row(program.name, version, "", "fails: it sent the emulator no request")
    return Row(program.name, version, done.stdout.strip().splitlines()[-1], Row.PASSES)


def _drive(program: Program, folder: Path, emulator: Emulator) -> subprocess.CompletedProcess[str]:
    with tempfile.TemporaryDirectory() as home:
        environment = {
            "PATH": os.environ["PATH"],
            "HOME": home,
            "LANG": "C.UTF-8",
            "EMULATOR_URL": emulator.url,
            "EMULATOR_KEY": emulator.issue_key(),
            "HTTP_PROXY": _NOWHERE,
            "HTTPS_PROXY": _NOWHERE,
            "NO_PROXY": "127.0.0.1,localhost",
        }
        command = [str(folder / "bin" / "python"), str(program.path)]
        if program.is_node:
            # Node looks for packages beside the script.
            for script in program.path.parent.glob("*.mjs"):
                (folder / script.name).write_bytes(script.read_bytes())
            command = ["node", str(folder / program.driver)]
        try:
            return subprocess.run(
                command,
                cwd=home,
                env=environment,
                capture_output=True,
                text=True,
                timeout=_TIMEOUT,
            )
        except subprocess.TimeoutExpired:
            message = f"it took longer than {_TIMEOUT} s"
            return subprocess.CompletedProcess(command, 1, "", message)


if __name__ == "__main__":
    sys.exit(main())
