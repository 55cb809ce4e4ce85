"""Fixtures for the tests of apps: an OpenRouter of their own, and visitors who are connected.

pytest imports this module in every project, so it imports nothing until a fixture is asked for.
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
    """The emulator of the whole session, on a free port: for fixtures that live longer than a test.

    Tests ask for ``openrouter_emulator``.
    """
    from .emulator import run_in_thread

    with run_in_thread() as emulator:
        yield emulator


@pytest.fixture(scope="session")
def openrouter_allowed_hosts() -> Collection[str]:
    """Hosts that tests may connect to besides this machine. Override it to name some."""
    return ()


@pytest.fixture
def openrouter_network_guard(openrouter_allowed_hosts: Collection[str]) -> Iterator[None]:
    """Fail the test when it connects to another machine; part of ``openrouter_emulator``."""
    from .testing.network import guarded_network

    with guarded_network(openrouter_allowed_hosts):
        yield


@pytest.fixture
def openrouter_emulator(
    openrouter_emulator_server: Emulator, openrouter_network_guard: None
) -> Emulator:
    """A local OpenRouter without any memory of other tests, and no way to any other."""
    openrouter_emulator_server.reset()
    return openrouter_emulator_server


@pytest.fixture
def openrouter_app_config(openrouter_emulator: Emulator) -> dict[str, object]:
    """The settings that put your app at the emulator, before ``init_app`` reads them."""
    from .testing import app_config

    return app_config(openrouter_emulator)


@pytest.fixture
def openrouter_login(openrouter_emulator: Emulator) -> Callable[..., TestResponse]:
    """A function that connects a test client by the app's own routes: ``openrouter_login(client)``.

    It takes and returns what :func:`flask_openrouter.testing.log_in` does, without the emulator.
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
    """A test client of your own fixture ``app`` whose visitor has connected a key."""
    client = app.test_client()
    openrouter_login(client)
    return client
