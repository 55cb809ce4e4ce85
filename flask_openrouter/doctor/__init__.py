"""``flask openrouter doctor``: finds what breaks or endangers logins, and names the remedy.

Each check is a small function that yields findings. A module holds the checks on one subject. The
package is loaded by the command, and by the error page in debug mode; production never loads it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import partial
from typing import Final, TypeAlias

from flask import Flask
from flask.cli import NoAppException

from ..errors import ConfigurationError
from ..web import EXTENSION_KEY
from .addresses import check_callback_url
from .case import Case
from .finding import Finding, Result, location_of, misconfiguration, problem, run_check
from .guards import FindMisplaced, check_guards
from .network import Network
from .session_cookie import check_session_cookie
from .settings import check_provider, check_secret_key, check_settings
from .storage import check_storage
from .versions import check_versions
from .visit import check_callback, check_login
from .workers import Workers

__all__ = ["Doctor"]

Check: TypeAlias = "tuple[str, str, Callable[[Case], Iterator[Finding]]]"


def _in_a_request(
    check: Callable[[Case], Iterator[Finding]],
) -> Callable[[Case], Iterator[Finding]]:
    """Return a check of the app's session interface, which may look at the request."""

    def check_in_a_request(case: Case) -> Iterator[Finding]:
        with case.request():
            yield from check(case)

    return check_in_a_request


_CHECKS: Final[tuple[Check, ...]] = (
    ("versions", "Installed packages", check_versions),
    ("settings", "Settings", check_settings),
    ("secret_key", "Secret key", check_secret_key),
    ("provider", "Base URL", check_provider),
    ("callback_url", "Callback URL", _in_a_request(check_callback_url)),
    ("session_cookie", "Session cookie", _in_a_request(check_session_cookie)),
    ("login", "Login route", check_login),
    ("callback", "Callback route", check_callback),
    ("storage", "Storage", check_storage),
)


@dataclass(frozen=True)
class Doctor:
    """All checks of one app. ``live``: also send requests to OpenRouter.

    ``find_misplaced``: given by the command, because the guard is in a layer above the doctor.
    """

    load_app: Callable[[], Flask]
    workers: Workers
    live: bool = False
    network: Network = field(default_factory=Network)
    find_misplaced: FindMisplaced = lambda app: ()

    def run(self) -> Iterator[Result]:
        """Yield one result per check. If the app cannot be loaded, that is the only result."""
        app, failure = self._load()
        yield Result("app", "App", () if failure is None else (failure,))
        if app is None:
            return
        with app.app_context():
            case = Case.of(app)
            for name, title, check in self._checks():
                yield run_check(name, title, check, case)

    def _checks(self) -> Iterator[Check]:
        yield from _CHECKS
        yield "guards", "Guards", partial(check_guards, find_misplaced=self.find_misplaced)
        yield "workers", "Second process", self.workers.check
        if not self.live:
            return
        yield "connection", "Connection to OpenRouter", self.network.connect
        # Read before each step, because the step before may have failed.
        if self.network.is_reachable:
            yield "api", "OpenRouter API", self.network.call_api
        if self.network.is_reachable:
            yield "exchange", "Code exchange", self.network.exchange_code

    def _load(self) -> tuple[Flask | None, Finding | None]:
        try:
            app = self.load_app()
        except ConfigurationError as error:
            return None, misconfiguration(error)
        except NoAppException as error:
            # After a failed import the message contains the traceback. The first line is enough.
            lines = str(error).strip().splitlines()
            return None, _not_loaded(lines[0].rstrip(":."))
        except (Exception, SystemExit) as error:
            return None, _not_loaded(
                f"Creating the app raises {type(error).__name__} at {location_of(error)}"
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
        "Name the app with flask --app. Run flask routes to see the whole traceback.",
    )
