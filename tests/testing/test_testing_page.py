"""docs/testing.md: its files pass when they are saved in an empty folder."""

from __future__ import annotations

import re
from collections.abc import Callable

import pytest
from doc_blocks import ROOT, blocks

RunPytest = Callable[..., pytest.RunResult]

_NAME = re.compile(r"# (\w+\.py)\n")
PAGE = ROOT / "docs" / "testing.md"
(APP,) = [
    block.code
    for block in blocks("python")
    if block.page.stem == "quickstart" and "def create_app" in block.code
]
FILES = {
    name[1]: block.code
    for block in blocks("python")
    if block.page == PAGE and (name := _NAME.match(block.code)) is not None
} | {"app.py": APP}


def test_the_files_on_the_page_pass(pytester: pytest.Pytester, run_pytest: RunPytest) -> None:
    assert {"test_app.py", "conftest.py"} <= set(FILES)
    for name, code in FILES.items():
        (pytester.path / name).write_text(code, encoding="utf-8")
    outcomes = run_pytest("-rs").parseoutcomes()
    shown = sum(len(re.findall(r"^def test_", code, re.M)) for code in FILES.values())
    assert shown >= 9
    # The contract skips the methods that a storage does not have.
    assert outcomes["passed"] + outcomes.get("skipped", 0) - shown >= 15
    assert set(outcomes) <= {"passed", "skipped"}


def test_the_first_two_files_are_enough(pytester: pytest.Pytester, run_pytest: RunPytest) -> None:
    for name in ("app.py", "test_app.py"):
        (pytester.path / name).write_text(FILES[name], encoding="utf-8")
    assert len([line for line in FILES["test_app.py"].splitlines() if line]) <= 11
    run_pytest().assert_outcomes(passed=2)


def test_every_block_on_the_page_is_run() -> None:
    for block in blocks("python"):
        if block.page == PAGE and block.note.startswith("not run"):
            assert _NAME.match(block.code), block.name


def test_the_table_names_every_fixture() -> None:
    source = (ROOT / "flask_openrouter" / "pytest_plugin.py").read_text(encoding="utf-8")
    fixtures = re.findall(r"@pytest\.fixture(\([^)]*\))?\ndef (\w+)\(", source)
    scopes = {name: "session" if "session" in options else "test" for options, name in fixtures}
    rows = re.findall(r"^\| `(\w+)` \| (\w+) \|", PAGE.read_text(encoding="utf-8"), re.M)
    assert dict(rows) == scopes
