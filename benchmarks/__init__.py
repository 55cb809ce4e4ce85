"""Benchmark of Flask-OpenRouter against its peers, hand-written views and bare Flask.

``make bench``, or ``python -m benchmarks --help``. The results are in docs/benchmarks.md.

* ``subjects/``: what is measured, one module for each name on the command line.
* ``candidates/``: the apps that are compared.
* ``tools/``: how it is measured: browser, provider, child processes, rounds, table.
* ``pages.py`` and ``scale.py``: the tables of the documentation.
"""

from __future__ import annotations

import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]

#: Name and module of each candidate, in the order of the table.
CANDIDATES = {
    "bare": "bare",
    "floor": "floor",
    "Flask-Login": "flask_login",
    "Flask-Dance": "flask_dance",
    "Authlib": "authlib",
    "ours": "ours",
}
#: Packages of the ``peers`` group.
PEERS = ("authlib", "flask_dance", "flask_login")

# The certificates and the database servers come from the tests.
sys.path.append(str(ROOT / "tests" / "support"))
