"""``flask openrouter doctor``: names what breaks or endangers logins, each with its remedy.

Each check is one small function that yields findings; a module holds those on one subject. Loaded
by the command, and by the error page in debug mode; never by an app in production.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Final, TypeAlias

from flask import Flask
from flask.cli import NoAppException

from ..errors import ConfigurationError
from ..web import EXTENSION_KEY
from .addresses import check_callback_url
from .case import Case
from .finding import Finding, Result, examine, misconfiguration, place_of, problem
from .network import Way
from .session_cookie import check_session_cookie
from .settings import check_provider, check_secret_key, check_settings
from .storage import check_storage
from .visit import check_login
from .workers import Workers

__all__ = ["Doctor"]

Check: TypeAlias = "tuple[str, str, Callable[[Case], Iterator[Finding]]]"

_CHECKS: Final[tuple[Check, ...]] = (
    ("settings", "Settings", check_settings),
    ("secret_key", "Secret key", check_secret_key),
    ("provider", "Base URL", check_provider),
    ("callback_url", "Callback address", check_callback_url),
    ("session_cookie", "Session cookie", check_session_cookie),
    ("login", "Start of a login", check_login),
    ("storage", "Storage", check_storage),
)


@dataclass(frozen=True)
class Doctor:
    """Examines one app. ``live``: ask OpenRouter too."""

    load_app: Callable[[], Flask]
    workers: Workers
    live: bool = False
    way: Way = field(default_factory=Way)

    def run(self) -> Iterator[Result]:
        """Yield the results, check by check. After a failure to load the app there are no more."""
        app, failure = self._load()
        yield Result("app", "App", () if failure is None else (failure,))
        if app is None:
            return
        with app.app_context():
            case = Case.of(app)
            for name, title, check in self._checks():
                yield examine(name, title, check, case)

    def _checks(self) -> Iterator[Check]:
        yield from _CHECKS
        yield "workers", "A second process", self.workers.check
        if not self.live:
            return
        yield "connection", "Way to OpenRouter", self.way.connect
        # Asked anew each time: the check before may have found it closed.
        if self.way.is_open:
            yield "api", "OpenRouter's API", self.way.ask
        if self.way.is_open:
            yield "exchange", "Exchange of a code", self.way.exchange

    def _load(self) -> tuple[Flask | None, Finding | None]:
        try:
            app = self.load_app()
        except ConfigurationError as error:
            return None, misconfiguration(error)
        except NoAppException as error:
            # An import that fails has its traceback in the message: the first line says it all.
            lines = str(error).strip().splitlines()
            return None, _not_loaded(lines[0].rstrip(":."))
        except Exception as error:
            return None, _not_loaded(
                f"Creating the app raises {type(error).__name__} at {place_of(error)}"
            )
        if EXTENSION_KEY not in app.extensions:
            return None, problem(
                "extension_missing",
                "This app has no OpenRouter extension.",
                "Call OpenRouterAuth(app), or auth.init_app(app) in the app factory.",
            )
        return app, None


def _not_loaded(title: str) -> Finding:
    return problem(
        "app_not_loaded",
        f"{title}.",
        "Name the app with flask --app. The command flask routes shows the whole traceback.",
    )
