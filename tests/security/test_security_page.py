"""Every requirement of docs/security.md has a test or a reason, and every test has its place."""

from __future__ import annotations

import ast
import re
from collections import Counter, defaultdict
from collections.abc import Iterator
from dataclasses import dataclass

import pytest
from project_files import ROOT

PAGE = (ROOT / "docs" / "security.md").read_text(encoding="utf-8")
#: The numbers of the requirements; 37 to 39 were never given.
NUMBERS = [*range(1, 37), *range(40, 113)]
#: Tests that are named after the rules of the domain, test_d1_ and so on, prove this row.
DOMAIN = 112
#: The shortest reason that can be one.
REASON = 60


@dataclass(frozen=True)
class Row:
    """One requirement: what holds, the names of its tests, and what else is to be said."""

    number: int
    property: str
    tests: tuple[str, ...]
    remark: str


def rows_of(page: str) -> list[Row]:
    """Return the requirements in the tables of a page, in order."""
    rows = []
    for line in re.findall(r"^\| R\d+ \|.*$", page, re.M):
        number, text, tests, remark = (cell.strip() for cell in line.strip("|").split("|"))
        names = tuple(re.findall(r"`(\w+)`", tests))
        rows.append(Row(int(number[1:]), text, names, remark))
    return rows


def numbers_in(name: str) -> set[int]:
    """Return the requirements that a test names: 86 and 88 for ``test_r86_r88_nothing_weaker``."""
    if re.match(r"test_d\d_", name):
        return {DOMAIN}
    named = re.match(r"test_((?:[rf]\d+_(?:to_)?)*)", name)
    return {int(number) for number in re.findall(r"r(\d+)_", named[1])} if named else set()


def _test_names() -> Iterator[str]:
    for path in sorted((ROOT / "tests").rglob("test_*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            is_function = isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef))
            if is_function and node.name.startswith("test_"):
                yield node.name


ROWS = rows_of(PAGE)
TESTS = set(_test_names())


def test_every_requirement_is_there_once_and_in_order() -> None:
    assert [row.number for row in ROWS] == NUMBERS


def test_every_requirement_says_what_holds() -> None:
    assert [row.number for row in ROWS if len(row.property) < 20] == []
    assert [text for text, times in Counter(r.property for r in ROWS).items() if times > 1] == []


def test_every_requirement_has_a_test_or_a_reason() -> None:
    assert [r.number for r in ROWS if not r.tests and len(r.remark) < REASON] == []


def test_every_test_that_is_named_exists() -> None:
    assert {f"R{row.number}: {name}" for row in ROWS for name in set(row.tests) - TESTS} == set()


def test_no_test_is_named_twice_in_a_row() -> None:
    assert [row.number for row in ROWS if len(set(row.tests)) < len(row.tests)] == []


def test_every_test_that_names_a_requirement_stands_with_it() -> None:
    named: dict[int, set[str]] = defaultdict(set)
    for row in ROWS:
        named[row.number] |= set(row.tests)
    missing = {
        f"R{number}: {name}"
        for name in TESTS
        for number in numbers_in(name)
        if name not in named[number]
    }
    assert missing == set()


@pytest.mark.parametrize(
    ("name", "numbers"),
    [
        ("test_r14_a_code", {14}),
        ("test_r5_verifiers", {5}),
        ("test_r05_states", {5}),
        ("test_r62_r64_r65_no_failure", {62, 64, 65}),
        ("test_r10_f01_who_declines", {10}),
        ("test_f3_to_f8_each_error", set()),
        ("test_d3_look_alikes", {112}),
        ("test_rfc7636_appendix_b", set()),
        ("test_right_storage_fails_none", set()),
    ],
)  # fmt: skip
def test_numbers_are_read_from_names(name: str, numbers: set[int]) -> None:
    assert numbers_in(name) == numbers


def test_a_gap_would_be_noticed() -> None:
    """The reader of the tables sees rows as they are."""
    page = "| R1 | It holds | `test_a`, `test_b` | |\n| R2 | So does it | none | Because. |\n"
    assert rows_of(page) == [
        Row(1, "It holds", ("test_a", "test_b"), ""),
        Row(2, "So does it", (), "Because."),
    ]
