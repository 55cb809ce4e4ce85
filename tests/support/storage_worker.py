"""Processes that use a storage."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from typing import Any

from flask_openrouter.storage.uri import storage_from_uri

#: Seconds that a client for Sentinel or Cluster waits for an answer, as docs/storage.md has them.
SOCKET_TIMEOUT = {"sentinel": 2, "cluster": 1}


def storage_at(address: str) -> Any:
    """Return a storage at a URI, ``sentinel:PORT`` or ``cluster:PORT``, as in docs/storage.md."""
    kind, _, port = address.partition(":")
    if kind not in SOCKET_TIMEOUT:
        return storage_from_uri(address, max_age=60)
    from redis.backoff import NoBackoff
    from redis.cluster import RedisCluster
    from redis.retry import Retry
    from redis.sentinel import Sentinel

    from flask_openrouter.storage.redis import RedisStorage

    timeout = SOCKET_TIMEOUT[kind]
    if kind == "sentinel":
        sentinel = Sentinel([("127.0.0.1", int(port))], socket_timeout=timeout)
        return RedisStorage(sentinel.master_for("keys", socket_timeout=timeout))
    retry = Retry(NoBackoff(), 1)
    return RedisStorage(RedisCluster("127.0.0.1", int(port), socket_timeout=timeout, retry=retry))


def start_worker(code: str, *arguments: str) -> subprocess.Popen[str]:
    """Start a Python that runs ``code``. Warnings are errors.

    ``arguments``: the first is what ``storage_at`` takes. The code finds the storage as
    ``storage``, and the arguments in ``sys.argv``.
    """
    prelude = (
        "import os, sys\nfrom storage_worker import storage_at\nstorage = storage_at(sys.argv[1])\n"
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
