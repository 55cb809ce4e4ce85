"""The pytest plugin: every project loads it, so it does nothing until a test uses a fixture."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from importlib.metadata import entry_points

import pytest

#: The only modules that the plugin may load: no Flask, no requests, no emulator.
SMALL = {
    "flask_openrouter",
    "flask_openrouter.errors",
    "flask_openrouter.pytest_plugin",
    "flask_openrouter.storage",
}


def test_the_plugin_is_installed() -> None:
    found = {
        point.value for point in entry_points(group="pytest11") if point.name == "flask_openrouter"
    }
    assert found == {"flask_openrouter.pytest_plugin"}, "install again: pip install -e ."


def test_the_plugin_loads_almost_nothing() -> None:
    program = """
import socket, sys
import pytest
before, look_up = set(sys.modules), socket.getaddrinfo
import flask_openrouter.pytest_plugin
assert "connect" not in vars(socket.socket) and socket.getaddrinfo is look_up
print(*sorted(set(sys.modules) - before))
"""
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", program], capture_output=True, text=True, check=True
    )
    assert set(done.stdout.split()) == SMALL


def test_a_run_without_its_fixtures_loads_nothing(
    pytester: pytest.Pytester, run_pytest: Callable[..., pytest.RunResult]
) -> None:
    pytester.makepyfile(
        """
        import socket, sys, threading

        def test_nothing_is_loaded_patched_or_started(request):
            assert request.config.pluginmanager.hasplugin("flask_openrouter")
            loaded = {name for name in sys.modules if name.startswith("flask")}
            assert loaded == {
                "flask_openrouter",
                "flask_openrouter.errors",
                "flask_openrouter.pytest_plugin",
                "flask_openrouter.storage",
            }
            assert "connect" not in vars(socket.socket)
            assert socket.getaddrinfo.__module__ == "socket"
            assert "openrouter" not in str(threading.enumerate())
        """
    )
    run_pytest().assert_outcomes(passed=1)


def test_every_fixture_is_described(run_pytest: Callable[..., pytest.RunResult]) -> None:
    shown = run_pytest("--fixtures").stdout.str()
    for name in (
        "openrouter_emulator",
        "openrouter_app_config",
        "openrouter_login",
        "connected_client",
        "openrouter_network_guard",
        "openrouter_allowed_hosts [session scope]",
        "openrouter_emulator_server [session scope]",
    ):
        heading = shown.partition(f"\n{name} -- ")[2].splitlines()
        assert heading, name
        assert "no docstring" not in heading[1], name


def test_names_of_the_package_are_loaded_when_used() -> None:
    program = """
import sys
import flask_openrouter
assert "flask" not in sys.modules
assert not hasattr(flask_openrouter, "OpenRouterAuthentication")
assert flask_openrouter.errors.OpenRouterError is flask_openrouter.OpenRouterError
flask_openrouter.OpenRouterClient
assert "flask" not in sys.modules, "the client needs no Flask"
flask_openrouter.OpenRouterAuth
from flask_openrouter import *
assert OpenRouterAuth is flask_openrouter.OpenRouterAuth
assert requires_openrouter_key and KeyStorage
"""
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", program], capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr


def test_unknown_names_of_the_package_are_reported() -> None:
    import flask_openrouter

    with pytest.raises(AttributeError, match="'flask_openrouter' has no attribute 'OpenRouter'"):
        _ = flask_openrouter.OpenRouter
