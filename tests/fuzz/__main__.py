"""Coverage-guided fuzzing with atheris: ``python tests/fuzz callback --seconds 600``.

It starts with the inputs in ``corpus/<target>``. An input that breaks something is added there, so
that ``make test`` fails until the bug is fixed. ``--keep`` adds the inputs that reached new code.
It exits with 1 when something broke.
"""

from __future__ import annotations

import argparse
import re
import subprocess
import sys
import tempfile
from pathlib import Path

HERE = Path(__file__).resolve().parent
TESTS = HERE.parent
#: The longest input in bytes. Longer ones would only test the limits of size.
MAX_LENGTH = 4096
#: In the command line of the fuzzing process, followed by the target and its options.
INSIDE = "--inside"


def main() -> int:
    """Fuzz one target in a process of its own, and print the result."""
    parser = argparse.ArgumentParser(prog="python tests/fuzz", description=__doc__)
    parser.add_argument("target", choices=["answer", "callback", "stream"])
    parser.add_argument("--seconds", type=int, default=30)
    parser.add_argument("--keep", action="store_true", help="let the kept corpus grow")
    arguments = parser.parse_args()
    kept = HERE / "corpus" / arguments.target
    with tempfile.TemporaryDirectory() as found:
        options = [f"-max_total_time={arguments.seconds}", f"-max_len={MAX_LENGTH}"]
        options += [f"-dict={HERE / arguments.target}.dict", f"-artifact_prefix={kept}/"]
        # A single input that takes this many seconds, or that much memory, is a crash as well.
        options += ["-timeout=60", "-rss_limit_mb=1024", "-print_final_stats=1"]
        done = _fuzz(arguments.target, *options, found, str(kept))
        if arguments.keep and done.returncode == 0:
            _fuzz(arguments.target, "-merge=1", str(kept), found).check_returncode()
    executions = re.search(r"stat::number_of_executed_units: *(\d+)", done.stderr)
    crashes = re.findall(r"Test unit written to (\S+)", done.stderr)
    if executions is None or done.returncode != 0:
        print(done.stdout[-4000:], done.stderr[-4000:], sep="\n")
    print(
        f"{arguments.target}: {executions[1] if executions else 'no'} executions in"
        f" {arguments.seconds} s, {len(crashes)} crashes {' '.join(crashes)}".rstrip()
    )
    return 0 if executions and done.returncode == 0 and not crashes else 1


def _fuzz(target: str, *options: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(HERE), INSIDE, target, *options]
    return subprocess.run(command, capture_output=True, text=True, errors="replace")


def fuzz_here(target: str, options: list[str]) -> None:
    """Fuzz in this process, with libFuzzer's options, until it ends the process."""
    import atheris

    sys.path[:0] = [str(TESTS), str(TESTS / "support"), str(TESTS.parent)]
    with atheris.instrument_imports(include=["flask_openrouter", "werkzeug"]):
        from fuzz.targets import TARGETS

        check = TARGETS[target]()
    # To merge, libFuzzer starts itself again by the name given here.
    atheris.Setup([f"{sys.executable} {HERE} {INSIDE} {target}", *options], check)
    atheris.Fuzz()


if __name__ == "__main__":
    if sys.argv[1:2] == [INSIDE]:
        fuzz_here(sys.argv[2], sys.argv[3:])
    sys.exit(main())
