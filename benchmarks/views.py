"""The routes that ask no provider: a login begun, a guarded view, a guarded view refused."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from flask import Flask

from .browser import Browser, call, environ_of
from .candidates import GUARDED, Candidate, all_candidates, connected
from .provider import running_provider
from .report import Goal, Row
from .rounds import interleaved, median_time, over

NAME = "views"

_Call = Callable[[], object]


def run(rounds: int, quick: bool) -> list[Row]:
    """Measure one call of the WSGI callable in this process, in microseconds."""
    times = 60 if quick else 300
    candidates = all_candidates()
    with running_provider(tls=False) as provider:
        apps = {name: one.create_app(provider.url) for name, one in candidates.items()}
        guarded = {name: guarded_call(one, apps[name]) for name, one in candidates.items()}
    logins = {name: login_call(one, apps[name]) for name, one in candidates.items()}
    refused = {name: refused_call(app) for name, app in apps.items()}

    login = _time({name: one for name, one in logins.items() if one is not None}, rounds, times)
    guarded_times = _time(guarded, rounds, times)
    return [
        Row("login route", "µs", login, base="floor", goal=Goal(most=1.05)),
        Row("guarded view, of a bare view", "µs", guarded_times, base="bare"),
        Row(
            "guarded view, more than a bare view",
            "µs",
            over(guarded_times, "bare"),
            goal=Goal(most=14, of="value"),
            note="The goal was set where a bare view takes 65 µs.",
        ),
        Row(
            "guarded view refused",
            "µs",
            _time(refused, rounds, times),
            base="floor",
            goal=Goal(most=75 / 74),
            note="The goal was 75 µs where the floor takes 74 µs.",
        ),
    ]


def login_call(candidate: Candidate, app: Flask) -> _Call | None:
    """Return a call that begins a login in a browser without cookies; ``bare`` is its bare view."""
    path = GUARDED if candidate.NAME == "bare" else candidate.LOGIN
    return None if path is None else partial(call, app, environ_of(path))


def guarded_call(candidate: Candidate, app: Flask) -> _Call:
    """Return a call of the guarded view with a key in the cookie. Needs the provider."""
    browser, _ = connected(candidate, app)
    return partial(call, app, browser.environ(GUARDED))


def refused_call(app: Flask) -> _Call:
    """Return a call of the guarded view without a cookie."""
    return partial(call, app, Browser(app).environ(GUARDED))


def _time(calls: dict[str, _Call], rounds: int, times: int) -> dict[str, list[float]]:
    for one in calls.values():
        median_time([one] * times)  # Caches fill, and the interpreter specialises.
    return interleaved(
        {name: partial(median_time, [one] * times) for name, one in calls.items()}, rounds
    )
