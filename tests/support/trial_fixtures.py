"""A pytest plugin: apps that let visitors without a key use the app's own.

A test module loads it with ``pytest_plugins = "trial_fixtures"``.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import trials
from flask import Flask

from flask_openrouter.emulator import Emulator


@pytest.fixture
def start_trial(emulator: Emulator) -> Callable[[Flask], trials.Trial]:
    """Give an app a function for its own key, and ``/try``, which runs on it."""

    def start(app: Flask) -> trials.Trial:
        trial = trials.Trial(app, emulator, emulator.issue_key(openrouter_user_id="user_app"))
        trial.give = lambda: trial.api_key

        def fallback_key() -> Any:
            trial.calls += 1
            return trial.give()

        app.extensions["openrouter"].app_functions.fallback_key = fallback_key
        trial.view(trials.ask, "/try")
        return trial

    return start


@pytest.fixture
def trial(start_trial: Callable[[Flask], trials.Trial], app: Flask) -> trials.Trial:
    return start_trial(app)
