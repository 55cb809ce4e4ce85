"""The callback: one exchange with a provider in another process, over TLS."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from flask import Flask

from ..candidates import Candidate, with_login
from ..tools.browser import Browser, approve, call
from ..tools.provider import Provider, running_provider
from ..tools.rounds import interleaved, median_time
from ..tools.rows import Goal, Row


def run(rounds: int, quick: bool) -> list[Row]:
    """Measure the callback in milliseconds, and count its new connections."""
    times = 10 if quick else 40
    with running_provider() as provider:
        meters = {
            name: partial(_measure, one, one.create_app(provider.url), provider, times)
            for name, one in with_login().items()
        }
        connections = {}
        for name, measure in meters.items():
            measure()  # Connects, and imports what only a login needs.
            before = provider.counts().connections
            measure()
            connections[name] = [(provider.counts().connections - before) / times]
        figures = interleaved(meters, rounds)
    none = Goal(most=0, of="value")
    return [
        Row("callback over TLS", "ms", figures, base="floor", goal=Goal(most=1.15)),
        Row("new TLS connections per callback", "", connections, goal=none),
    ]


def callbacks_of(candidate: Candidate, app: Flask, times: int) -> list[Callable[[], object]]:
    """Return the calls that end as many logins, each in a browser of its own."""
    calls: list[Callable[[], object]] = []
    for _ in range(times):
        browser = Browser(app)
        callback, _key = approve(browser.get(candidate.LOGIN or ""))
        calls.append(partial(call, app, browser.environ(callback)))
    return calls


def _measure(candidate: Candidate, app: Flask, provider: Provider, times: int) -> float:
    """Return the median of some callbacks in ms. Raises RuntimeError if one failed."""
    calls = callbacks_of(candidate, app, times)
    before = provider.counts().exchanges
    median = median_time(calls) / 1000
    exchanges = provider.counts().exchanges - before
    if exchanges != times:
        raise RuntimeError(f"{exchanges} of {times} codes bought a key.")
    return median
