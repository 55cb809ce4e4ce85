"""Cookies of a login, in bytes of ``Set-Cookie``."""

from __future__ import annotations

import warnings

from flask import Flask
from werkzeug.wrappers import Response

from ..candidates import Candidate, with_login
from ..tools.browser import Browser, approve
from ..tools.provider import running_provider
from ..tools.rows import Goal, Row

ABANDONED = 100
#: Name of each row and the most bytes that it should have. Browsers keep 4093 bytes of one
#: cookie: name, value and attributes together.
GOALS = {
    "Set-Cookie at login": 200,
    "Set-Cookie at callback": 330,
    f"largest cookie of {ABANDONED} abandoned logins": 4093,
}


def run(rounds: int, quick: bool) -> list[Row]:
    """Count once. Compression changes the sizes by a few bytes from login to login."""
    with running_provider() as provider:
        sizes = {
            name: sizes_of(candidate, candidate.create_app(provider.url))
            for name, candidate in with_login().items()
        }
    rows = []
    for number, (what, most) in enumerate(GOALS.items()):
        figures = {name: [own[number]] for name, own in sizes.items()}
        rows.append(Row(what, "bytes", figures, goal=Goal(most=most, of="value")))
    return rows


def sizes_of(candidate: Candidate, app: Flask) -> tuple[int, int, int]:
    """Return the figures of :data:`GOALS`. One browser logs in, another abandons its logins."""
    path = candidate.LOGIN or ""
    browser, other = Browser(app), Browser(app)
    login = browser.get(path)
    callback = browser.get(approve(login)[0])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Werkzeug warns of cookies that are too large.
        largest = max(max(_sizes(other.get(path))) for _ in range(ABANDONED))
    return sum(_sizes(login)), sum(_sizes(callback)), largest


def _sizes(response: Response) -> list[int]:
    return [len(cookie) for cookie in response.headers.getlist("Set-Cookie")]
