"""gunicorn with two workers under wrk: the guarded view, in requests per second."""

from __future__ import annotations

import re
import shutil
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from functools import partial
from http.client import HTTPConnection

from flask import Flask

from . import ROOT
from .browser import Browser
from .candidates import GUARDED, all_candidates, connected, find, modules
from .provider import running_provider
from .report import Goal, Row, SkippedError
from .rounds import interleaved

NAME = "gunicorn"

WORKERS, CONNECTIONS = 2, 8
_SECONDS = 3
_SECONDS_TO_START = 60


def app_of(module: str, provider_url: str) -> Flask:
    """Return one candidate's app, for gunicorn to serve."""
    return find(module).create_app(provider_url)


def run(rounds: int, quick: bool) -> list[Row]:
    """Let all servers wait while wrk asks one of them."""
    if quick:
        raise SkippedError("left out of the quick form")
    if shutil.which("wrk") is None:
        raise SkippedError("wrk is not installed: apt install wrk")
    with ExitStack() as servers:
        with running_provider(tls=False) as provider:
            visits = {}
            for name, candidate in all_candidates().items():
                browser, _ = connected(candidate, candidate.create_app(provider.url))
                module = modules()[name]
                port = servers.enter_context(serving(f"app_of({module!r}, {provider.url!r})"))
                visits[name] = partial(requests_per_second, port, browser)
        for visit in visits.values():
            visit()  # Workers start, caches fill.
        figures = interleaved(visits, min(rounds, 15))
    what = f"gunicorn, {WORKERS} workers, guarded view"
    return [Row(what, "/s", figures, base="bare", goal=Goal(least=0.92))]


@contextmanager
def serving(app: str) -> Iterator[int]:
    """Serve an expression of this module with gunicorn, and yield the port."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        command = [sys.executable, "-m", "gunicorn", "--workers", str(WORKERS)]
        command += ["--bind", f"fd://{listener.fileno()}", "--log-level", "error"]
        process = subprocess.Popen(
            [*command, f"benchmarks.gunicorn:{app}"], cwd=ROOT, pass_fds=[listener.fileno()]
        )
        try:
            yield listener.getsockname()[1]
        finally:
            process.terminate()
            process.wait()


def requests_per_second(port: int, browser: Browser) -> float:
    """Let wrk visit the guarded view with this browser's cookies.

    Raises RuntimeError when a view is refused.
    """
    headers = {
        name.removeprefix("HTTP_").replace("_", "-").title(): value
        for name, value in browser.environ(GUARDED).items()
        if name.startswith("HTTP_") and name != "HTTP_CONNECTION"
    }
    # gunicorn takes this from a proxy on the same machine.
    headers["X-Forwarded-Proto"] = "https"
    _expect_key(port, headers)
    command = ["wrk", "--threads", "1", "--connections", str(CONNECTIONS)]
    command += ["--duration", f"{_SECONDS}s"]
    for name, value in headers.items():
        command += ["--header", f"{name}: {value}"]
    url = f"http://127.0.0.1:{port}{GUARDED}"
    report = subprocess.run([*command, url], capture_output=True, text=True, check=True).stdout
    rate = re.search(r"Requests/sec: +([0-9.]+)", report)
    if rate is None or "Non-2xx" in report or "Socket errors" in report:
        raise RuntimeError(f"wrk was not served:\n{report}")
    return float(rate[1])


def _expect_key(port: int, headers: dict[str, str]) -> None:
    connection = HTTPConnection("127.0.0.1", port, timeout=_SECONDS_TO_START)
    try:
        connection.request("GET", GUARDED, headers=headers)
        answer = connection.getresponse()
        if answer.status != 200 or not answer.read().startswith(b"sk-or-v1-"):
            raise RuntimeError(f"The guarded view answered {answer.status}.")
    finally:
        connection.close()
