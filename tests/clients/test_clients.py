"""``make clients``: its table in docs/emulator.md, and what it takes for a failure."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
from cases import case
from clients.programs import DRIVERS, PROGRAMS, Program
from clients.table import Row, rows_of_docs
from clients.visit import visit
from project_files import ROOT

from flask_openrouter.emulator import Emulator

ASKS = """
import os, urllib.request
urllib.request.urlopen(os.environ["EMULATOR_URL"] + "/api/v1/models").read()
"""


def test_the_table_names_the_programs_with_their_versions() -> None:
    rows = rows_of_docs()
    documented = [(row.program, row.version) for row in rows]
    assert documented == [(program.name, program.version) for program in PROGRAMS]
    for row in rows:
        assert row.is_good or row.is_missing or row.result.startswith("fails: "), row
        assert bool(row.does) == row.is_good, row


def test_every_driver_belongs_to_a_program() -> None:
    drivers = {path.name for path in DRIVERS.iterdir() if path.suffix in (".py", ".mjs", ".go")}
    used = [program.driver for program in PROGRAMS]
    assert len(set(used)) == len(used)
    assert drivers - {"emulated.py", "emulated.mjs"} == set(used)


def test_ci_runs_some_of_both_languages() -> None:
    quick = {program.language for program in PROGRAMS if program.is_quick}
    assert quick == {"Python", "Node"}
    assert "make clients CLIENTS=--quick" in (ROOT / ".ci" / "run").read_text(encoding="utf-8")


def test_names_and_versions_are_read_from_requirements() -> None:
    for requirement, name, version in [
        ("openai==3.57.0", "openai", "3.57.0"),
        ("pydantic-ai-slim[openai]==2.68.0", "pydantic-ai-slim", "2.68.0"),
        ("@openrouter/sdk@1.3.19", "@openrouter/sdk", "1.3.19"),
        ("ai@6.0.326", "ai", "6.0.326"),
    ]:
        with case(requirement):
            program = Program(requirement, "driver.py")
            assert (program.name, program.version) == (name, version)


@pytest.mark.requirement("E1")
def test_a_driver_passes_only_if_it_asks_the_emulator_and_says_what_it_did(
    emulator: Emulator, tmp_path: Path
) -> None:
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin" / "python").symlink_to(sys.executable)
    driver = tmp_path / "driver.py"
    program = Program("anything==1.0", str(driver))
    for source, expected in [
        (f"{ASKS}\nprint('chat, stream')", ("chat, stream", Row.PASSES)),
        (f"{ASKS}\nprint('chat')\nraise ValueError('no answer')", ("", "ValueError: no answer")),
        (f"{ASKS}\nraise SystemExit(3)", ("", "exit status 3")),
        (ASKS, ("", "it does not say what it did")),
        ("print('chat')", ("", "the emulator got no request")),
    ]:
        with case(expected):
            driver.write_text(source, encoding="utf-8")
            does, result = visit(program, tmp_path, emulator)
            assert (does, result.removeprefix("fails: ")) == expected
            assert Row("anything", "1.0", does, result).is_good == (expected[1] == Row.PASSES)
