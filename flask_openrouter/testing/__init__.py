"""For the tests of apps that use this package, and of storages that others write for it.

Under pytest the same comes as fixtures (:mod:`flask_openrouter.pytest_plugin`), by themselves.
"""

from __future__ import annotations

from ..emulator import Emulator, EmulatorConfig, run_in_thread
from .contract import KeyStorageContract
from .login import api_key_of, app_config, log_in

__all__ = [
    "Emulator",
    "EmulatorConfig",
    "KeyStorageContract",
    "api_key_of",
    "app_config",
    "log_in",
    "run_in_thread",
]
