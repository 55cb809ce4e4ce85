"""Serving as one candidate in this process, and what that took of memory. Imports little itself."""

from __future__ import annotations

from .candidates import GUARDED, connected, find


def peak_of(module: str, provider_url: str) -> float:
    """Serve as one candidate and return the peak of this process in MiB."""
    candidate = find(module)
    browser, _ = connected(candidate, candidate.create_app(provider_url))
    for _ in range(100):
        browser.get(GUARDED)
    return _peak()


def _peak() -> float:
    # Not getrusage(), which counts the memory of the process that started this one as well.
    with open("/proc/self/status", encoding="ascii") as status:
        lines = dict(line.split(":", 1) for line in status)
    return int(lines["VmHWM"].split()[0]) / 1024
