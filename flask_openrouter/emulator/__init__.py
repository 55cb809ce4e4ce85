"""A local OpenRouter for development and tests: ``/auth`` and ``/api/v1/*`` on one loopback origin.

It refuses what OpenRouter refuses and misbehaves on demand. It shares no code with the rest of
the package, so that a mistake there cannot cancel itself out here.

::

    with run_in_thread(EmulatorConfig(deny_style="error")) as emulator:
        app.config["OPENROUTER_BASE_URL"] = emulator.url
"""

from __future__ import annotations

from .app import create_emulator_app
from .config import EmulatorConfig
from .emulator import Emulator
from .faults import Fault
from .journal import RecordedRequest
from .keys import KEY_MARKER
from .server import run_in_thread

__all__ = [
    "KEY_MARKER",
    "Emulator",
    "EmulatorConfig",
    "Fault",
    "RecordedRequest",
    "create_emulator_app",
    "run_in_thread",
]
