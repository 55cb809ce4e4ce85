"""Views that do not ask the provider: an open view, a login route, a guarded view, its refusal."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from flask import Flask

from ..candidates import GUARDED, OPEN, Candidate, all_candidates, connected
from ..tools.browser import Browser, call
from ..tools.provider import running_provider
from ..tools.rounds import interleaved, median_time, over
from ..tools.rows import Goal, Row

Call = Callable[[], object]


#: The name of each row, the candidate that counts as 1.00, and the goal in instructions.
ROUTES = {
    "open": ("open view", "bare", None),
    "login": ("login route", "floor", Goal(most=0.75)),
    "guarded": ("guarded view", "floor", Goal(most=0.87)),
    "refused": ("guarded view refused", "floor", Goal(most=1.12)),
}


def run(rounds: int, quick: bool) -> list[Row]:
    """Measure one call of the WSGI callable in this process, in microseconds."""
    calls_of_round = 60 if quick else 300
    with running_provider() as provider:
        calls = {
            name: calls_of(candidate, candidate.create_app(provider.url))
            for name, candidate in all_candidates().items()
        }
    rows = []
    for key, (what, base, _) in ROUTES.items():
        measurements = {
            name: partial(median_time, [own[key]] * calls_of_round)
            for name, own in calls.items()
            if key in own
        }
        for measure in measurements.values():
            measure()  # Caches fill, and the interpreter specialises.
        times = interleaved(measurements, rounds)
        rows.append(Row(what, "µs", times, base))
        if key == "guarded":
            goal = Goal(most=38, of="value")
            rows.append(Row(f"{what}, over bare", "µs", over(times, "bare"), goal=goal))
    return rows


def calls_of(candidate: Candidate, app: Flask) -> dict[str, Call]:
    """Return the calls of :data:`ROUTES` that this candidate has. Needs the provider."""
    connected_browser, _ = connected(candidate, app)
    browser = Browser(app)
    environs = {"open": browser.environ(OPEN), "guarded": connected_browser.environ(GUARDED)}
    if candidate.LOGIN is not None:
        environs["login"] = browser.environ(candidate.LOGIN)
    if browser.get(GUARDED).status_code != 200:
        environs["refused"] = Browser(app).environ(GUARDED)
    return {key: partial(call, app, environ) for key, environ in environs.items()}
