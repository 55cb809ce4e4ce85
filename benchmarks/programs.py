"""Running Python in a fresh process, for what only a fresh process can show."""

from __future__ import annotations

import subprocess
import sys

from . import ROOT


def figure_of(program: str, *arguments: str) -> float:
    """Run a program in a new Python and return the number that it prints.

    Raises ``subprocess.CalledProcessError`` when it fails.
    """
    done = subprocess.run(
        [sys.executable, "-c", program, *arguments],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )
    return float(done.stdout)
