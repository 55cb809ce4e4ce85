"""Instruction counts of a child process by valgrind's callgrind."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from .. import ROOT


@contextmanager
def counting(program: str, *arguments: str) -> Iterator[Callable[[str], int]]:
    """Run a Python program under callgrind; yield a function that counts its instructions.

    The program prints a line when it is ready, and one after each line of its input. The function
    sends a line and returns the instructions that the program took for it.
    """
    with tempfile.TemporaryDirectory(prefix="openrouter-bench-") as folder:
        command = ["valgrind", "--quiet", "--tool=callgrind", "--instr-atstart=no"]
        command += [f"--callgrind-out-file={folder}/out", "--combine-dumps=no"]
        command += [sys.executable, "-c", program, *arguments]
        env, pipe = {**os.environ, "PYTHONHASHSEED": "0"}, subprocess.PIPE
        with subprocess.Popen(
            command, cwd=ROOT, env=env, stdin=pipe, stdout=pipe, text=True
        ) as child:
            lines, answers = child.stdin, child.stdout
            assert lines is not None
            assert answers is not None

            def control(option: str) -> None:
                command = ["callgrind_control", option, str(child.pid)]
                subprocess.run(command, capture_output=True, check=True)

            def count(line: str) -> int:
                control("--zero")
                print(line, file=lines, flush=True)
                assert answers.readline(), f"The program ended at {line!r}."
                control("--dump")
                newest = max(Path(folder).glob("out.*"), key=lambda path: int(path.suffix[1:]))
                total = re.search(r"^(?:totals|summary): (\d+)", newest.read_text(), re.M)
                assert total is not None
                return int(total[1])

            try:
                assert answers.readline(), "The program did not start."
                control("--instr=on")
                yield count
            finally:
                child.kill()
