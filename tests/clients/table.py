"""The table of programs in docs/emulator.md."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, Final

PAGE: Final = Path(__file__).resolve().parents[2] / "docs" / "emulator.md"
_ROW = re.compile(r"^\| `([^`]+)` \| ([^|]+) \| ([^|]*) \| ([^|]*) \|$", re.M)


@dataclass(frozen=True)
class Row:
    """One program, the version that was run, what it did, and the result."""

    program: str
    version: str
    does: str
    result: str

    HEAD: ClassVar = ("| program | version | what it does | result |", "|---|---|---|---|")
    PASSES: ClassVar = "passes"
    MISSING: ClassVar = "cannot be installed: "

    @property
    def is_good(self) -> bool:
        """Whether the program did all that it should."""
        return self.result == self.PASSES

    @property
    def is_missing(self) -> bool:
        """Whether the program was not there to be run."""
        return self.result.startswith(self.MISSING)

    def __str__(self) -> str:
        result = self.result.replace("|", "/").replace("\n", " ")
        return f"| `{self.program}` | {self.version} | {self.does} | {result} |"


def rows_of_docs() -> list[Row]:
    """Return the rows of the page."""
    before, head, after = PAGE.read_text(encoding="utf-8").partition("\n".join(Row.HEAD) + "\n")
    assert head, f"{before[:40]}… has no table of programs"
    return [Row(*found) for found in _ROW.findall(after.partition("\n\n")[0])]


def write_docs(rows: list[Row], order: list[str]) -> None:
    """Write these rows into the page, in this order of programs.

    Rows of other programs stay, and those of programs that were not there.
    """
    known = {row.program: row for row in rows if row.is_missing}
    known |= {row.program: row for row in rows_of_docs()}
    known |= {row.program: row for row in rows if not row.is_missing}
    body = "".join(f"{known[name]}\n" for name in order if name in known)
    head = "\n".join(Row.HEAD) + "\n"
    before, _, after = PAGE.read_text(encoding="utf-8").partition(head)
    PAGE.write_text(f"{before}{head}{body}{_rest(after)}", encoding="utf-8")


def _rest(after: str) -> str:
    """Return what follows the rows."""
    lines = after.splitlines(keepends=True)
    while lines and lines[0].startswith("|"):
        del lines[0]
    return "".join(lines)
