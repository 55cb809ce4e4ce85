"""Tables of the documentation, which a run replaces."""

from __future__ import annotations

from pathlib import Path

from . import ROOT

COMPARISON = ROOT / "docs" / "benchmarks.md"
SCALE = ROOT / "docs" / "scale.md"
BEGIN, END = "<!-- made by python -m benchmarks -->\n", "<!-- until here -->\n"


def write(page: Path, tables: str) -> None:
    """Replace what is between the marks of a page."""
    before, _, rest = page.read_text(encoding="utf-8").partition(BEGIN)
    after = rest.partition(END)[2]
    page.write_text(f"{before}{BEGIN}\n{tables}\n{END}{after}", encoding="utf-8")
