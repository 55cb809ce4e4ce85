"""Child processes: a program in a fresh Python, and a server."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress

import requests

from .. import ROOT


def figure_of(program: str, *arguments: str) -> float:
    """Run a program in a new Python and return the number that it prints.

    Raises ``subprocess.CalledProcessError`` when it fails.
    """
    command = [sys.executable, "-c", program, *arguments]
    # As in production: the second process finds the bytecode that the first one has written.
    env = {**os.environ, "PYTHONDONTWRITEBYTECODE": ""}
    return float(subprocess.check_output(command, cwd=ROOT, env=env, text=True))


@contextmanager
def serving(*module: str, url: str, env: Mapping[str, str] = os.environ) -> Iterator[None]:
    """Run ``python -m`` with these arguments until the block ends.

    Waits until ``url`` answers. Raises TimeoutError when it does not.
    """
    quiet = subprocess.DEVNULL
    command = [sys.executable, "-m", *module]
    process = subprocess.Popen(command, cwd=ROOT, env=env, stdout=quiet, stderr=quiet)
    try:
        deadline = time.monotonic() + 60
        while process.poll() is None and time.monotonic() < deadline:
            with suppress(requests.ConnectionError):
                requests.get(url, timeout=60, allow_redirects=False)
                break
            time.sleep(0.05)
        else:
            raise TimeoutError(f"Nothing answers at {url}.")
        yield
    finally:
        process.terminate()
        process.wait()
