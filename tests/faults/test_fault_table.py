"""Every fault, injected into whole logins over real storages, and the page that lists them.

By default a fault meets one storage, with ``--every-variant`` each variant meets all those of the
page.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from faults import browser_faults, database_faults, setup_faults, storage_faults, upstream_faults
from faults.fault_rows import (
    FAULTS,
    STORAGES,
    Fault,
    as_markdown,
    every_run,
    one_run_of_each_fault,
)

PAGE = Path(__file__).parents[2] / "docs" / "faults.md"
WRITE = os.environ.get("OPENROUTER_WRITE_DOCS") == "1"
#: Their imports register the faults.
MODULES = (browser_faults, database_faults, setup_faults, storage_faults, upstream_faults)
#: How many kinds of faults there are.
COUNT = 50


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "fault" in metafunc.fixturenames:
        is_full = metafunc.config.getoption("every_variant")
        runs = every_run() if is_full else one_run_of_each_fault()
        metafunc.parametrize(
            ("fault", "variant", "kind"),
            [
                pytest.param(*run, id=" ".join([run[0].number, run[0].name, *run[1:]]))
                for run in runs
            ],
        )


@pytest.mark.requirement("R29", "R60")
def test_a_fault_ends_as_the_page_says(
    open_site: Callable[..., Any],
    capfd: pytest.CaptureFixture[str],
    fault: Fault,
    variant: str,
    kind: str,
) -> None:
    with open_site(kind, fault.upstream) as site:
        row = fault.run(site, fault.variants[variant])
        site.record("terminal", *capfd.readouterr())
        found = site.secrets_found()
    assert replace(row, secrets=len(found)) == fault.expected, found


def test_no_fault_is_missing() -> None:
    assert {fault.number for fault in FAULTS} == {f"F{n}" for n in range(1, COUNT + 1)}


def test_few_runs_meet_every_fault_and_every_storage() -> None:
    few, all_ = [*one_run_of_each_fault()], [*every_run()]
    assert {fault.number for fault, *_ in few} == {fault.number for fault, *_ in all_}
    assert {kind for *_, kind in few} == set(STORAGES)
    assert {*few} < {*all_}
    assert len(few) < len(all_) / 2


def test_the_page_shows_the_rows_that_the_runs_are_compared_with() -> None:
    """Otherwise OPENROUTER_WRITE_DOCS=1 writes them."""
    table = as_markdown(FAULTS)
    page = PAGE.read_text(encoding="utf-8")
    if WRITE:
        page = re.sub(r"(?m)^\|.*\n(\|.*\n)*", lambda _: table + "\n", page, count=1)
        PAGE.write_text(page, encoding="utf-8")
    assert table in page
