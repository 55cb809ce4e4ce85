"""The guarded view behind gunicorn with two workers, in requests per second of wrk."""

from __future__ import annotations

import re
import shutil
import subprocess
from contextlib import ExitStack
from functools import partial

import requests
from servers import free_port

from .. import CANDIDATES
from ..candidates import GUARDED, all_candidates, connected
from ..tools.processes import serving
from ..tools.provider import running_provider
from ..tools.rounds import interleaved
from ..tools.rows import Goal, Row, SkippedError


def run(rounds: int, quick: bool) -> list[Row]:
    """Run the servers of all candidates. wrk asks one of them at a time."""
    if quick:
        raise SkippedError("left out of the quick form")
    if shutil.which("wrk") is None:
        raise SkippedError("wrk is not installed: apt install wrk")
    visits = {}
    with ExitStack() as stack:
        provider = stack.enter_context(running_provider())
        for name, candidate in all_candidates().items():
            browser, _ = connected(candidate, candidate.create_app(provider.url))
            port = free_port()
            url = f"http://127.0.0.1:{port}{GUARDED}"
            options = ["--workers", "2", "--bind", f"127.0.0.1:{port}"]
            app = f"benchmarks.candidates.{CANDIDATES[name]}:create_app({provider.url!r})"
            stack.enter_context(serving("gunicorn", *options, app, url=url))
            visits[name] = partial(requests_per_second, url, browser.headers())
        for visit in visits.values():
            visit()  # Workers start, caches fill.
        figures = interleaved(visits, min(rounds, 15))
    goal = Goal(least=0.9)
    return [Row("gunicorn, 2 workers, guarded view", "/s", figures, base="bare", goal=goal)]


def requests_per_second(url: str, headers: dict[str, str]) -> float:
    """Let wrk visit this address with these headers. Raises RuntimeError for a refusal."""
    # gunicorn trusts this header from a proxy on the same machine.
    headers = {**headers, "X-Forwarded-Proto": "https"}
    response = requests.get(url, headers=headers, timeout=60, allow_redirects=False)
    if response.status_code != 200 or not response.text.startswith("sk-or-v1-"):
        raise RuntimeError(f"The guarded view answered {response.status_code}.")
    command = ["wrk", "--threads", "1", "--connections", "8", "--duration", "3s", url]
    for name, value in headers.items():
        command += ["--header", f"{name}: {value}"]
    report = subprocess.check_output(command, text=True)
    rate = re.search(r"Requests/sec: +([0-9.]+)", report)
    if rate is None or "Non-2xx" in report or "Socket errors" in report:
        raise RuntimeError(f"wrk was not served:\n{report}")
    return float(rate[1])
