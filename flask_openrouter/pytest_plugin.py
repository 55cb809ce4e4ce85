"""Fixtures for the tests of apps: a local OpenRouter, and test clients that are connected.

pytest imports this module in every project, so it imports nothing until a test uses a fixture.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator

    from flask import Flask
    from flask.testing import FlaskClient
    from werkzeug.test import TestResponse

    from .emulator import Emulator


@pytest.fixture(scope="session")
def openrouter_emulator_server() -> Iterator[Emulator]:
    """The emulator of the whole session, on a free port, for fixtures that outlive a test.

    Tests use ``openrouter_emulator``.
    """
    from .emulator import run_in_thread

    with run_in_thread() as emulator:
        yield emulator


@pytest.fixture(scope="session")
def openrouter_allowed_hosts() -> Collection[str]:
    """Hosts that tests may connect to besides this machine: none. Override it to allow some."""
    return ()


@pytest.fixture
def openrouter_network_guard(openrouter_allowed_hosts: Collection[str]) -> Iterator[None]:
    """Fail the test if it connects to another machine; part of ``openrouter_emulator``."""
    from .testing.network import guarded_network

    with guarded_network(openrouter_allowed_hosts):
        yield


@pytest.fixture
def openrouter_emulator(
    openrouter_emulator_server: Emulator, openrouter_network_guard: None
) -> Emulator:
    """A local OpenRouter, reset for each test; the test cannot reach the real one."""
    openrouter_emulator_server.reset()
    return openrouter_emulator_server


@pytest.fixture
def openrouter_app_config(openrouter_emulator: Emulator) -> dict[str, object]:
    """The settings that point your app to the emulator, for ``app.config`` before ``init_app``."""
    from .testing import app_config

    return app_config(openrouter_emulator)


@pytest.fixture
def openrouter_login(openrouter_emulator: Emulator) -> Callable[..., TestResponse]:
    """A function that connects a test client by the app's own routes: ``openrouter_login(client)``.

    It is :func:`flask_openrouter.testing.log_in` without the argument ``emulator``.
    """
    from .testing import log_in

    def login(
        client: FlaskClient,
        next_url: str | None = None,
        *,
        base_url: str | None = None,
        check: bool = True,
    ) -> TestResponse:
        return log_in(client, openrouter_emulator, next_url, base_url=base_url, check=check)

    return login


@pytest.fixture
def connected_client(app: Flask, openrouter_login: Callable[..., TestResponse]) -> FlaskClient:
    """A test client of your fixture ``app``, connected with a key."""
    client = app.test_client()
    openrouter_login(client)
    return client
