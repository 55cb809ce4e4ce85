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

_SECONDS_TO_START = 60


def figure_of(program: str, *arguments: str) -> float:
    """Run a program in a new Python and return the number that it prints.

    Raises ``subprocess.CalledProcessError`` when it fails.
    """
    command = [sys.executable, "-c", program, *arguments]
    done = subprocess.run(command, cwd=ROOT, stdout=subprocess.PIPE, text=True, check=True)
    return float(done.stdout)


@contextmanager
def serving(*module: str, url: str, env: Mapping[str, str] = os.environ) -> Iterator[None]:
    """Run ``python -m`` with these arguments until the block ends.

    Waits until ``url`` answers. Raises TimeoutError when it does not.
    """
    quiet = subprocess.DEVNULL
    command = [sys.executable, "-m", *module]
    process = subprocess.Popen(command, cwd=ROOT, env=env, stdout=quiet, stderr=quiet)
    try:
        deadline = time.monotonic() + _SECONDS_TO_START
        while process.poll() is None and time.monotonic() < deadline:
            with suppress(requests.ConnectionError):
                requests.get(url, timeout=_SECONDS_TO_START, allow_redirects=False)
                break
            time.sleep(0.05)
        else:
            raise TimeoutError(f"Nothing answers at {url}.")
        yield
    finally:
        process.terminate()
        process.wait()
