"""uWSGI without lazy-apps: it imports the app of ``uwsgi_app`` once and forks it into workers."""

from __future__ import annotations

import http.client
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from urllib.parse import quote

from components import require
from polling import PATIENCE, wait_until
from ports import free_port


@contextmanager
def uwsgi(workers: int, uri: str) -> Iterator[int]:
    """Run the app in uWSGI and yield its port. Skips (in CI: fails) without a fitting uWSGI."""
    program = _find_uwsgi()
    port = free_port()
    with tempfile.NamedTemporaryFile() as log:
        process = subprocess.Popen(
            [
                *(program, "--plugin", "python3", "--master", "--die-on-term", "--need-app"),
                *("--processes", str(workers), "--threads", "2"),
                *("--http-socket", f"127.0.0.1:{port}", "--module", "uwsgi_app"),
            ],
            env={**os.environ, "PYTHONPATH": os.pathsep.join(_paths()), "SHARED_URI": uri},
            stdout=log,
            stderr=log,
        )
        try:
            _wait_for(process, port, Path(log.name))
            yield port
        finally:
            process.terminate()
            process.wait(PATIENCE)


def visit(port: int, owner_id: str, method: str = "GET") -> tuple[str, str]:
    """Return what the app has for this owner, and the process id of the worker."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=PATIENCE)
    try:
        connection.request(method, f"/{quote(owner_id)}")
        response = connection.getresponse()
        return response.read().decode(), response.headers["X-Worker"]
    finally:
        connection.close()


def _find_uwsgi() -> str:
    program = shutil.which("uwsgi")
    if program is None:
        require("uwsgi", "not on PATH (apt install uwsgi uwsgi-plugin-python3)")
    answer = subprocess.run(
        [program, "--plugin", "python3", "--python-version"],
        capture_output=True,
        text=True,
        check=False,
    )
    # It has its own Python, which must be able to import the packages of this one.
    version = "{}.{}.".format(*sys.version_info)
    if not answer.stdout.strip().startswith(version):
        require("uwsgi", f"no plugin for Python {version}* ({answer.stdout.strip() or 'none'})")
    return program


def _paths() -> list[str]:
    # Without the standard library of this Python.
    own = (sys.base_prefix, sys.base_exec_prefix)
    return [path for path in sys.path if path and not path.startswith(own)]


def _wait_for(process: subprocess.Popen[bytes], port: int, log: Path) -> None:
    def is_up() -> bool:
        assert process.poll() is None, f"uWSGI did not start:\n{log.read_text()[-2000:]}"
        with suppress(OSError):
            visit(port, "owner")
            return True
        return False

    wait_until(is_up, failure=lambda: log.read_text()[-2000:])
