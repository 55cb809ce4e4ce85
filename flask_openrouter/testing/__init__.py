"""Tools for the tests of apps that use this package, and of third-party key storages.

pytest has the same as fixtures, without an import: :mod:`flask_openrouter.pytest_plugin`.
"""

from __future__ import annotations

from ..emulator import NAMED_FAULTS, Emulator, EmulatorConfig, run_in_thread
from .contract import KeyStorageContract
from .login import api_key_of, app_config, log_in

__all__ = [
    "NAMED_FAULTS",
    "Emulator",
    "EmulatorConfig",
    "KeyStorageContract",
    "api_key_of",
    "app_config",
    "log_in",
    "run_in_thread",
]
