"""The candidates: each module creates the app of one of them."""

from __future__ import annotations

from importlib import import_module
from typing import Protocol, cast

from flask import Flask

from .. import CANDIDATES
from ..tools.browser import Browser, approve, key_of

#: Secret key of all apps. With random bytes, the runs of different processes would differ.
SECRET_KEY = "c1b7d8f0a95e4e2f8d63b0a47c19e5f2"
#: A view that needs no key, the same in all apps.
OPEN = "/open"
#: A view that needs a key and answers with it.
GUARDED = "/guarded"


class Candidate(Protocol):
    """Contents of every module here."""

    #: The statements that an app has at its top for it, after ``import flask``.
    IMPORTS: str
    #: Path of the route that starts a login, or None.
    LOGIN: str | None

    def create_app(self, provider_url: str) -> Flask:
        """Return a new app that logs in at this provider."""


def new_app(name: str) -> Flask:
    """Return an app with a secret key and the open view."""
    app = Flask(name)
    app.config["SECRET_KEY"] = SECRET_KEY
    app.add_url_rule(OPEN, "open", lambda: "sk-or-v1-" + 64 * "0")
    return app


def find(name: str) -> Candidate:
    """Return a candidate. Raises ModuleNotFoundError when its package is not installed."""
    return cast(Candidate, import_module(f"{__name__}.{CANDIDATES[name]}"))


def all_candidates() -> dict[str, Candidate]:
    """Return every candidate by its name. Raises as :func:`find`."""
    return {name: find(name) for name in CANDIDATES}


def with_login() -> dict[str, Candidate]:
    """Return the candidates that have a login. Raises as :func:`find`."""
    return {name: one for name, one in all_candidates().items() if one.LOGIN is not None}


def connected(candidate: Candidate, app: Flask) -> tuple[Browser, str]:
    """Return a browser that has connected a key, and the key."""
    browser = Browser(app)
    if candidate.LOGIN is None:
        # A view of Flask-Login's app signs a user in and stores the key. Bare Flask answers 404.
        key = key_of("a code")
        browser.get(f"/sign-in?key={key}")
        return browser, key
    callback, key = approve(browser.get(candidate.LOGIN))
    browser.get(callback)
    return browser, key
