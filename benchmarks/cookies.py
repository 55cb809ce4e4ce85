"""What a login puts into the browser, in bytes of ``Set-Cookie``."""

from __future__ import annotations

import warnings
from dataclasses import dataclass

from flask import Flask

from .browser import Answer, Browser, approve
from .candidates import Candidate, all_candidates
from .provider import running_provider
from .report import Goal, Row

NAME = "cookies"

ABANDONED = 100
#: What browsers keep of one cookie: name, value and attributes together, in bytes.
MOST = 4093


@dataclass(frozen=True)
class Sizes:
    """Bytes at login, at callback, and the largest cookie of each of many abandoned logins."""

    login: int
    callback: int
    abandoned: list[int]


def run(rounds: int, quick: bool) -> list[Row]:
    """Count once: the sizes differ by a few bytes from login to login, by compression."""
    with running_provider(tls=False) as provider:
        found = {
            name: sizes_of(candidate, candidate.create_app(provider.url))
            for name, candidate in all_candidates().items()
            if candidate.LOGIN is not None
        }
    logins = {name: [sizes.login] for name, sizes in found.items()}
    callbacks = {name: [sizes.callback] for name, sizes in found.items()}
    largest = {name: [max(sizes.abandoned)] for name, sizes in found.items()}
    too_large = {
        name: [1 + next(i for i, size in enumerate(sizes.abandoned) if size > MOST)]
        for name, sizes in found.items()
        if max(sizes.abandoned) > MOST
    }
    rows = [
        Row("Set-Cookie at login", "bytes", logins, goal=Goal(most=200, of="value")),
        Row("Set-Cookie at callback", "bytes", callbacks, goal=Goal(most=330, of="value")),
        Row(
            f"largest cookie of {ABANDONED} abandoned logins",
            "bytes",
            largest,
            goal=Goal(most=MOST, of="value"),
        ),
    ]
    if too_large:
        rows.append(Row("abandoned login that browsers drop the cookie of", "", too_large))
    return rows


def sizes_of(candidate: Candidate, app: Flask) -> Sizes:
    """Measure one candidate, with one browser that logs in and one that never comes back."""
    path = candidate.LOGIN or ""
    browser, patient = Browser(app), Browser(app)
    login = browser.get(path)
    callback = browser.get(approve(login.location).callback)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Werkzeug's, of cookies that are too large.
        abandoned = [patient.get(path) for _ in range(ABANDONED)]
    largest = [max(map(len, answer.set_cookies)) for answer in abandoned]
    return Sizes(_size(login), _size(callback), largest)


def _size(answer: Answer) -> int:
    return sum(map(len, answer.set_cookies))
