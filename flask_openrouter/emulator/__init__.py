"""A local OpenRouter for development and tests: ``/auth`` and ``/api/v1/*`` on one loopback origin.

It refuses what OpenRouter refuses, and misbehaves on demand. It imports nothing of the rest of the
package: shared code would repeat a mistake on both sides, and no test would notice.

A request passes ``server``, the hooks in ``app`` (``journal``, ``cors``, ``misbehaviour``), and one
blueprint: ``consent``, ``oauth``, ``listings``, ``billing``, ``control``, ``openapi``, or one that
answers: ``chat``, ``completions``, ``responses``, ``embeddings``. All of them use ``emulator``, the
handle that holds the settings, the ``ledger``, the ``generations`` and the queued faults. What is
asked becomes a ``question``, then an ``answer``, which a ``delivery`` sends and charges.

::

    with run_in_thread(EmulatorConfig(deny_style="error")) as emulator:
        app.config["OPENROUTER_BASE_URL"] = emulator.url
"""

from __future__ import annotations

from .app import create_emulator_app
from .config import EmulatorConfig
from .emulator import Emulator
from .faults import Fault, QueuedFault
from .journal import RecordedRequest
from .ledger import KEY_MARKER
from .named_faults import NAMED_FAULTS
from .server import run_in_thread

__all__ = [
    "KEY_MARKER",
    "NAMED_FAULTS",
    "Emulator",
    "EmulatorConfig",
    "Fault",
    "QueuedFault",
    "RecordedRequest",
    "create_emulator_app",
    "run_in_thread",
]
