"""Processes that use a storage."""

from __future__ import annotations

import os
import signal
import subprocess
import sys


def start_worker(code: str, *arguments: str) -> subprocess.Popen[str]:
    """Start a Python that runs ``code``. Warnings are errors.

    ``arguments``: the first is the storage's URI. The code finds the storage as ``storage``, and
    the arguments in ``sys.argv``.
    """
    prelude = (
        "import os, sys\n"
        "from flask_openrouter.storage.uri import storage_from_uri\n"
        "storage = storage_from_uri(sys.argv[1], max_age=60)\n"
    )
    return subprocess.Popen(
        [sys.executable, "-W", "error", "-c", prelude + code, *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
    )


def output_of(worker: subprocess.Popen[str], *, seconds: float = 60) -> str:
    """Return the output of a worker that must exit with 0 within this time. Kill it otherwise."""
    try:
        output, _ = worker.communicate(timeout=seconds)
    except subprocess.TimeoutExpired:
        # With what it has forked.
        os.killpg(worker.pid, signal.SIGKILL)
        output = f"not ended after {seconds} seconds: {worker.communicate()[0]}"
    assert worker.returncode == 0, output
    return output


def run_worker(code: str, *arguments: str) -> str:
    """Start a worker, wait for its end, and return its output."""
    return output_of(start_worker(code, *arguments))
