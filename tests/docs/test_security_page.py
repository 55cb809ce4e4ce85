"""Every requirement of docs/security.md has a test or a reason."""

from __future__ import annotations

import functools
import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass

import pytest
from project_files import ROOT

PAGE = (ROOT / "docs" / "security.md").read_text(encoding="utf-8")
#: The numbers of the requirements; 37 to 39 were never given.
NUMBERS = [*range(1, 37), *range(40, 113)]
#: Faults of docs/faults.md, which a test may name beside its requirements.
FAULTS = {f"F{number}" for number in range(1, 51)}
#: Cases of docs/field.md.
FIELD = [
    id
    for line in (ROOT / "docs" / "field.md").read_text(encoding="utf-8").splitlines()
    if (row := re.match(r"- ([A-Z]\d+(?:, [A-Z]\d+)*): .+ → ", line))
    for id in row[1].split(", ")
]
#: The shortest reason that can be one.
REASON = 60


@dataclass(frozen=True)
class Row:
    """One requirement: what holds, and the remark that a row without a test needs."""

    id: str
    property: str
    remark: str


def rows_of(page: str) -> list[Row]:
    """Return the requirements of a page, in order."""
    remarks = {
        id: remark
        for ids, remark in re.findall(r"^- On (R.*?): (.+)$", page, re.M)
        for id in ids.split(", ")
    }
    rows = re.findall(r"^- (R\d+): (.+)$", page, re.M)
    return [Row(id, text, remarks.get(id, "")) for id, text in rows]


def marked_in(source: str) -> Iterator[tuple[str, str]]:
    """Yield (test, id) for each id in a ``requirement`` marker of a file."""
    for arguments, test in _MARKED.findall(source):
        for id in re.findall(r'"(\w+)"', arguments):
            yield test, id


ROWS = rows_of(PAGE)
#: A marker's arguments, and the name of the test that is next.
_MARKED = re.compile(
    r"^ *@pytest\.mark\.requirement\(([^)]+)\)(?=(?:.*\n)*? *(?:async )?def (\w+))", re.M
)


@functools.cache
def marked() -> list[tuple[str, str]]:
    """Return (test, id) for each id in a ``requirement`` marker."""
    return [
        mark
        for path in sorted((ROOT / "tests").rglob("*.py"))
        for mark in marked_in(path.read_text(encoding="utf-8"))
    ]


def test_every_requirement_is_there_once_and_in_order() -> None:
    assert [row.id for row in ROWS] == [f"R{number}" for number in NUMBERS]


def test_every_requirement_states_a_property() -> None:
    assert [row.id for row in ROWS if len(row.property) < 20] == []
    assert [text for text, times in Counter(r.property for r in ROWS).items() if times > 1] == []


def test_every_requirement_has_a_test_or_a_reason() -> None:
    proven = {id for _, id in marked()}
    assert [row.id for row in ROWS if row.id not in proven and len(row.remark) < REASON] == []


def test_every_case_from_the_field_is_there_once_and_has_a_test() -> None:
    assert [id for id, times in Counter(FIELD).items() if times > 1] == []
    assert sorted({*FIELD} - {id for _, id in marked()}) == []


def test_every_marker_names_a_requirement_a_fault_or_a_case() -> None:
    known = {row.id for row in ROWS} | FAULTS | {*FIELD}
    assert [mark for mark in marked() if mark[1] not in known] == []


def test_a_requirement_is_named_by_a_marker_and_not_by_the_name_of_its_test() -> None:
    names = re.compile(r"def (test_[rfd]\d+_\w*)")
    for path in sorted((ROOT / "tests").rglob("*.py")):
        assert names.findall(path.read_text(encoding="utf-8")) == [], path


@pytest.mark.requirement("R110")
def test_the_caps_of_a_key_are_documented() -> None:
    for page, name in (
        ("README.md", "OPENROUTER_KEY_LIMIT"),
        ("docs/security.md", "OPENROUTER_KEY_LIMIT"),
        ("docs/client.md", "usage_limit_type"),
        ("docs/client.md", "expires_at"),
        ("docs/security.md", "expires_at"),
    ):
        assert name in (ROOT / page).read_text(encoding="utf-8"), (page, name)


def test_a_gap_would_be_noticed() -> None:
    """The readers of the page and of the markers find each of them."""
    page = "- R1: It holds.\n- R2: So does it.\n\n- On R2, R3: Because.\n"
    assert rows_of(page) == [Row("R1", "It holds.", ""), Row("R2", "So does it.", "Because.")]
    # In quotes, so that they count as no markers of this file.
    source = (
        '@pytest.mark.requirement(\n    "R1", "F2"\n)\n'
        '@pytest.mark.requirement("R3")\n'
        '@pytest.mark.parametrize(("a", "b"), [(1, 2)])\n'
        "async def test_it() -> None: ...\n"
        "class TestMore:\n"
        '    @pytest.mark.requirement("R4")\n'
        "    def test_more(self) -> None: ...\n"
    )
    assert [*marked_in(source)] == [
        *(("test_it", id) for id in ("R1", "F2", "R3")),
        ("test_more", "R4"),
    ]
