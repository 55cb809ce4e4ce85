"""The app under test, its emulator, and its visitors."""

from __future__ import annotations

import importlib
import os
import pkgutil
import secrets
import signal
from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import network_guard
import pytest
from flask import Flask
from hypothesis import settings
from polling import PATIENCE
from visitor import Visitor, fingerprint

import flask_openrouter
from flask_openrouter import OpenRouterAuth, current_openrouter, requires_openrouter_key
from flask_openrouter.emulator import Emulator, server

pytest_plugins = [
    *("pytester", "flask_openrouter.pytest_plugin"),
    *("server_fixtures", "stored_apps", "stores"),
]

MakeApp = Callable[..., Flask]

# A background job of a shell ignores Ctrl+C. Without this, so would the processes of the tests.
signal.signal(signal.SIGINT, signal.default_int_handler)

# A busy machine may need longer to stop a thread.
server.SHUTDOWN_TIMEOUT = PATIENCE

# The time of one example depends on the machine.
settings.register_profile("quick", deadline=None, max_examples=25)
settings.register_profile("every variant", deadline=None, max_examples=100)


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--requirement",
        action="append",
        default=[],
        metavar="ID",
        help="run only the tests that prove this row of docs/security.md, such as R14",
    )
    parser.addoption(
        "--every-variant",
        action="store_true",
        default=os.environ.get("OPENROUTER_TEST_EVERY_VARIANT") == "1",
        help="every fault over every storage, and more of what is slow, as in .ci/run",
    )


def pytest_configure(config: pytest.Config) -> None:
    settings.load_profile("every variant" if config.getoption("every_variant") else "quick")


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_auto_num_workers() -> int:
    """Return the number of processes for ``-n auto``: more than processors, because tests wait."""
    return len(os.sched_getaffinity(0)) + 2


#: Folders of whole apps, and files that take whole logins through many variants or read code. Their
#: tests run untraced, in little more than half the time: what they use of the package is covered by
#: the tests beside its modules.
UNTRACED = {
    *("browser", "docs", "example", "faults", "fuzz", "packaging", "replicas", "secrets"),
    "workers",
    *("test_benchmarks.py", "test_callback_races.py", "test_celery.py", "test_code_rules.py"),
    *("test_conformance_table.py", "test_cookie_forgeries.py", "test_flask_migrate.py"),
    *("test_flask_sqlalchemy.py", "test_inference_sdks.py", "test_languages_pages.py"),
    *("test_late_rejections.py", "test_logins_strangers.py", "test_openapi.py"),
    *("test_openrouter_document.py", "test_outage.py", "test_python_sdk.py"),
    *("test_responses_texts.py", "test_rest_extensions.py", "test_rotation_fallbacks.py"),
    *("test_sdks_transport.py", "test_secrets_stay_inside.py", "test_sqlalchemy_pgbouncer.py"),
    *("test_test_rules.py", "test_threads.py", "test_typescript_sdk.py", "test_urls_redirects.py"),
}


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    wanted = set(config.getoption("requirement"))
    is_full = config.getoption("every_variant")

    def is_chosen(item: pytest.Item) -> bool:
        proven = {id for mark in item.iter_markers("requirement") for id in mark.args}
        is_extra = item.get_closest_marker("every_variant") is not None
        return (is_full or not is_extra) and (not wanted or bool(wanted & proven))

    config.hook.pytest_deselected(items=[item for item in items if not is_chosen(item)])
    items[:] = filter(is_chosen, items)


@pytest.hookimpl(wrapper=True)
def pytest_collection(session: pytest.Session) -> Generator[None, object, object]:
    """Import the package traced, and the tests untraced, in half the time."""
    if not session.config.pluginmanager.hasplugin("_cov"):
        return (yield)
    for module in pkgutil.walk_packages(flask_openrouter.__path__, "flask_openrouter."):
        importlib.import_module(module.name)
    with untraced():
        return (yield)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_protocol(item: pytest.Item) -> Generator[None, object, object]:
    """Trace neither the tests of UNTRACED nor their fixtures."""
    if not (item.config.pluginmanager.hasplugin("_cov") and is_untraced(item)):
        return (yield)
    with untraced():
        return (yield)


@contextmanager
def untraced() -> Iterator[None]:
    """Stop the measurement.

    pytest-cov's marker ``no_cover`` does not do it: a process of pytest-xdist has two measurements,
    and the outer one goes on when the inner one stops.
    """
    from coverage import Coverage

    stopped = []
    while coverage := Coverage.current():
        coverage.stop()
        stopped.append(coverage)
    try:
        yield
    finally:
        for coverage in reversed(stopped):
            coverage.start()


def is_untraced(item: pytest.Item) -> bool:
    return bool(UNTRACED.intersection(item.path.relative_to(Path(__file__).parent).parts))


class Clock:
    """A clock that tests move."""

    def __init__(self) -> None:
        self.now = 1_800_000_000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture(scope="session")
def every_variant(pytestconfig: pytest.Config) -> bool:
    """Whether to run all that is slow: see ``--every-variant``."""
    return bool(pytestconfig.getoption("every_variant"))


@pytest.fixture(scope="session", autouse=True)
def nothing_leaves_this_machine() -> Iterator[None]:
    """Refuse every connection to other machines, and fail the session if one was tried."""
    network_guard.install()
    yield
    assert network_guard.attempts == []


@pytest.fixture
def emulator(openrouter_emulator: Emulator) -> Emulator:
    """A local OpenRouter that knows nothing of other tests."""
    return openrouter_emulator


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def make_app(emulator: Emulator, clock: Clock) -> Iterator[MakeApp]:
    """Build an app with a guarded view: settings by keyword, ``extension`` for OpenRouterAuth."""
    storages: list[Any] = []

    def make(extension: dict[str, Any] | None = None, **config: Any) -> Flask:
        app = Flask("tested")
        app.config.update(
            {
                "TESTING": True,
                "SECRET_KEY": secrets.token_hex(),
                "OPENROUTER_BASE_URL": emulator.url,
                **config,
            }
        )
        OpenRouterAuth(app, **{"clock": clock, **(extension or {})})
        if app.config.get("OPENROUTER_STORAGE_URI"):
            storages.append(app.extensions["openrouter"].vault.storage)

        @app.get("/guarded")
        @requires_openrouter_key
        def guarded() -> str:
            return fingerprint(current_openrouter.api_key)

        @app.get("/")
        def home() -> str:
            return "home"

        return app

    yield make
    # Since Python 3.13, a database that is left open is a warning.
    for storage in storages:
        getattr(storage, "close", lambda: None)()


@pytest.fixture
def app(make_app: MakeApp) -> Flask:
    return make_app()


@pytest.fixture
def visitor(app: Flask) -> Visitor:
    return Visitor(app)
