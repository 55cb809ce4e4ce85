"""Runs of pytest in a process of its own."""

from __future__ import annotations

from collections.abc import Callable

import pytest

RunPytest = Callable[..., pytest.RunResult]


@pytest.fixture
def run_pytest(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> RunPytest:
    """Run pytest on the files of ``pytester``, with the package's plugin as the only one.

    The plugins of other packages would take seconds to load, and may load Flask.
    """
    monkeypatch.setenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD", "1")

    def run(*options: str) -> pytest.RunResult:
        return pytester.runpytest_subprocess("-p", "flask_openrouter", "-W", "error", *options)

    return run
