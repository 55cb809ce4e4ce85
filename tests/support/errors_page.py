"""What docs/errors.md says of each code."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

from project_files import ROOT

PAGE: Final = (ROOT / "docs" / "errors.md").read_text(encoding="utf-8")


@dataclass(frozen=True)
class Entry:
    """One code as the page has it."""

    code: str
    status: int
    title: str
    #: ``kept``, ``set aside`` or ``none``.
    key: str
    #: ``open``, ``over`` or ``none``.
    login: str
    text: str


def entries() -> list[Entry]:
    """Return the entries of the page, in its order."""
    found = []
    # A heading that is no code has blanks.
    for section in re.split("^## ", PAGE, flags=re.M):
        default = re.search(r"^Key: (.+)\. Login: (.+)\.$", section, re.M)
        for code, text in re.findall(r"^### ([a-z_]+)\n(.*?)(?=^###|\Z)", section, re.M | re.S):
            found.append(_entry(code, text, default))
    return found


def _entry(code: str, text: str, default: re.Match[str] | None) -> Entry:
    head = re.search(r"^\*\*(\d{3}) (.+)\*\*(?: · key: (.+?))?(?: · login: (.+))?$", text, re.M)
    assert head is not None, code
    assert default is not None, code
    status, title, key, login = head.groups()
    return Entry(code, int(status), title, key or default[1], login or default[2], text)


def rows_below(head: str) -> list[list[str]]:
    """Return the cells of the table with this head."""
    lines = PAGE.partition(f"\n{head}\n")[2].splitlines()[1:]
    assert lines, head
    rows = []
    for line in lines:
        if not line.startswith("|"):
            break
        rows.append([cell.strip() for cell in line.strip("|").split("|")])
    return rows
