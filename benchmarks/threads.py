"""Sign-ins on 4 threads: does anybody get another visitor's key, does any of them fail?

Each visitor signs in and opens one view, which sends the visitor's key to the provider.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial

from flask import Flask

from .browser import Browser, approve
from .candidates import SPEND, Candidate, all_candidates
from .provider import running_provider
from .report import Goal, Row

NAME = "threads"

THREADS = 4
#: How long the provider thinks, in seconds. OpenRouter is further away than this.
_DELAY = 0.02


@dataclass(frozen=True)
class Outcome:
    """How the sign-ins of one candidate went."""

    crossed: int
    failed: int
    connections: int


def run(rounds: int, quick: bool) -> list[Row]:
    """Count, for each candidate with a login, in one worker process with four threads."""
    sign_ins = 40 if quick else 160
    outcomes = {}
    with running_provider(tls=True) as provider:
        provider.delay(_DELAY)
        for name, candidate in all_candidates().items():
            if candidate.LOGIN is None:
                continue
            before = provider.counts().connections
            crossed, failed = _sign_in_all(candidate, candidate.create_app(provider.url), sign_ins)
            connections = provider.counts().connections - before
            outcomes[name] = Outcome(crossed, failed, connections)
    what = f"{sign_ins} sign-ins on {THREADS} threads"
    return [
        _row(f"{what}: another's key", outcomes, "crossed", 0),
        _row(f"{what}: failed", outcomes, "failed", 0),
        _row(f"{what}: connections", outcomes, "connections", THREADS),
    ]


def _sign_in_all(candidate: Candidate, app: Flask, times: int) -> tuple[int, int]:
    # What Flask-Dance raises is logged by Flask, each time.
    app.logger.disabled = True
    with ThreadPoolExecutor(THREADS) as pool:
        verdicts = list(pool.map(partial(_sign_in, candidate), [app] * times))
    return verdicts.count("crossed"), verdicts.count("failed")


def _sign_in(candidate: Candidate, app: Flask) -> str:
    """Return which key was spent for a new visitor: their ``own``, one that ``crossed``, none."""
    browser = Browser(app)
    try:
        approval = approve(browser.get(candidate.LOGIN or "").location)
        browser.get(approval.callback)
        answer = browser.get(SPEND)
    except LookupError:
        # The login route redirected nowhere: it failed.
        return "failed"
    if answer.status != 200:
        return "failed"
    return "own" if answer.body.decode() == approval.key else "crossed"


def _row(what: str, outcomes: dict[str, Outcome], name: str, most: int) -> Row:
    figures = {candidate: [getattr(outcome, name)] for candidate, outcome in outcomes.items()}
    return Row(what, "", figures, goal=Goal(most=most, of="value"))
