"""The benchmark: ours beside its peers, hand-written views and bare Flask, in one run.

``make bench``, or ``python -m benchmarks --help``. What it measured: docs/benchmarks.md.
"""

from __future__ import annotations

import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]

# Certificates and database servers are the tests'.
sys.path.append(str(ROOT / "tests" / "support"))
