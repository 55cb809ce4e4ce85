"""Who is measured: each module here makes the app of one candidate."""

from __future__ import annotations

from importlib import import_module
from typing import Protocol, cast

from flask import Flask

from ..browser import Browser, approve
from ..exchange import key_of

#: For all apps; random bytes would make the runs of different processes differ.
SECRET_KEY = "c1b7d8f0a95e4e2f8d63b0a47c19e5f2"
#: The view that needs a key, and answers with it.
GUARDED = "/guarded"
#: The view that sends the key to the provider, and answers with what the provider was sent; of the
#: candidates that know a provider.
SPEND = "/spend"


class Candidate(Protocol):
    """What every module here has."""

    NAME: str
    #: The statements that an app has at its top for it, after ``import flask``.
    IMPORTS: str
    #: Path of the route that starts a login, or None.
    LOGIN: str | None

    def create_app(self, provider_url: str) -> Flask:
        """Return a new app, with ``/guarded`` and ``/spend``, that logs in at this provider."""


#: Module names, in the order of the table.
_MODULES = ("bare", "floor", "flask_login", "flask_dance", "authlib", "ours")


def find(module: str) -> Candidate:
    """Return a candidate. Raises ``SkippedError`` when what it needs is not installed."""
    try:
        return cast(Candidate, import_module(f"{__name__}.{module}"))
    except ModuleNotFoundError as error:
        missing = error.name or ""
    if missing.partition(".")[0] in ("", "benchmarks", "flask_openrouter"):
        raise ImportError(f"{missing} is missing from the source tree.")
    # Not at the top: fresh processes are measured, and should hold what a candidate needs alone.
    from ..report import SkippedError

    raise SkippedError(f"{missing} is not installed: pip install --group benchmark")


def all_candidates() -> dict[str, Candidate]:
    """Return every candidate by its name. Raises as :func:`find`."""
    return {candidate.NAME: candidate for candidate in map(find, _MODULES)}


def modules() -> dict[str, str]:
    """Return the name of every candidate's module, by the candidate's name."""
    return dict(zip(all_candidates(), _MODULES, strict=True))


def connected(candidate: Candidate, app: Flask) -> tuple[Browser, str]:
    """Return a browser that has connected a key, and the key. For ``bare`` there is none."""
    browser = Browser(app)
    if candidate.LOGIN is None:
        # Flask-Login knows no provider: the app's own sign-in form gives it a user and a key.
        key = key_of("a code")
        browser.get(f"/sign-in?key={key}")
        return browser, key
    approval = approve(browser.get(candidate.LOGIN).location)
    browser.get(approval.callback)
    return browser, approval.key
