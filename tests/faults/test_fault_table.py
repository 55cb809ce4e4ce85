"""Every fault, through the front door, over every storage; and the page that shows what happens."""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from faults import of_browser, of_databases, of_setup, of_storage, of_upstream
from faults.row import FAULTS, Fault, Row, as_markdown

PAGE = Path(__file__).parents[2] / "docs" / "faults.md"
WRITE = os.environ.get("OPENROUTER_WRITE_DOCS") == "1"
MODULES = (of_browser, of_databases, of_setup, of_storage, of_upstream)
#: How many kinds of faults there are.
COUNT = 50
#: What this run saw. Faults that were not run, as when one test is picked, are as expected.
OBSERVED: dict[Fault, Row] = {}

RUNS = [
    pytest.param(fault, variant, kind, id=f"{fault.number} {fault.name} {variant} {kind}")
    for fault in FAULTS
    for variant, kind in fault.runs()
]


@pytest.mark.parametrize(("fault", "variant", "kind"), RUNS)
def test_a_fault_ends_as_the_table_says(
    open_bench: Callable[..., Any],
    capfd: pytest.CaptureFixture[str],
    fault: Fault,
    variant: str,
    kind: str,
) -> None:
    with open_bench(kind, fault.upstream) as bench:
        row = fault.run(bench, fault.variants[variant])
        bench.saw("terminal", *capfd.readouterr())
        found = bench.secrets_found()
    OBSERVED[fault] = row = replace(row, secrets=len(found))
    assert row == fault.expected, found


def test_no_fault_is_missing() -> None:
    assert {fault.number for fault in FAULTS} == {f"F{n}" for n in range(1, COUNT + 1)}


def test_the_page_shows_the_table_that_is_true() -> None:
    """Otherwise OPENROUTER_WRITE_DOCS=1 writes it; look at the difference then."""
    table = as_markdown(
        [
            fault.cells(OBSERVED.get(fault, fault.expected))
            for fault in sorted(FAULTS, key=lambda fault: int(fault.number[1:]))
        ]
    )
    print(table)
    page = PAGE.read_text(encoding="utf-8")
    if WRITE:
        page = re.sub(r"(?m)^\|.*\n(\|.*\n)*", lambda _: table + "\n", page, count=1)
        PAGE.write_text(page, encoding="utf-8")
    assert table in page
