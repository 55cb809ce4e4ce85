"""CONTRIBUTING.md: a login visits the files in the order of the page."""

from __future__ import annotations

import re
import sys
from collections.abc import Callable, Iterator
from types import FrameType

from flask import Flask
from project_files import ROOT
from visitor import Visitor

from flask_openrouter.emulator import Emulator

PACKAGE = ROOT / "flask_openrouter"
PAGE = (ROOT / ".github" / "CONTRIBUTING.md").read_text(encoding="utf-8")
SECTION = PAGE.partition("## A login, file by file\n")[2].partition("\n## ")[0]
STEPS = re.findall(r"^\d+\. (.+(?:\n +.+)*)$", SECTION, re.M)


def files_in(text: str) -> list[str]:
    return re.findall(r"`([a-z_/]+\.py)`", text)


def files_run_by(work: Callable[[], object]) -> list[str]:
    """Return the file of each call of the package, in order."""
    files: list[str] = []

    def note(frame: FrameType, event: str, _: object) -> None:
        if event == "call" and frame.f_code.co_filename.startswith(f"{PACKAGE}/"):
            files.append(frame.f_code.co_filename.removeprefix(f"{PACKAGE}/"))

    before = sys.getprofile()
    sys.setprofile(note)
    try:
        work()
    finally:
        sys.setprofile(before)
    return files


def missing_from(route: Iterator[str], files: list[str]) -> list[str]:
    """Return the files that the route does not visit in this order."""
    return [file for file in files if file not in route]


def test_every_file_of_the_page_exists() -> None:
    assert len(STEPS) == 10
    files = files_in(SECTION)
    assert len(files) > 20
    assert [file for file in files if not (PACKAGE / file).is_file()] == []


def test_a_login_visits_the_files_in_the_order_of_the_page(app: Flask, emulator: Emulator) -> None:
    route = files_run_by(lambda: Visitor(app).connect(emulator))
    assert missing_from(iter(route), [file for step in STEPS for file in files_in(step)]) == []


def test_a_guarded_view_visits_the_files_of_the_last_line(app: Flask, emulator: Emulator) -> None:
    visitor = Visitor(app)
    visitor.connect(emulator)
    route = files_run_by(lambda: visitor.get("/guarded"))
    (last,) = [line for line in SECTION.splitlines() if line.startswith("The view behind it")]
    assert missing_from(iter(route), files_in(last)) == []


def test_a_disconnect_visits_the_files_of_its_line(app: Flask, emulator: Emulator) -> None:
    visitor = Visitor(app)
    visitor.connect(emulator)
    route = files_run_by(lambda: visitor.post("/openrouter/disconnect"))
    (line,) = [line for line in SECTION.splitlines() if line.startswith("Disconnect is")]
    assert missing_from(iter(route), files_in(line)) == []


def test_another_order_would_be_noticed() -> None:
    assert missing_from(iter(["a.py", "b.py", "a.py"]), ["b.py", "a.py"]) == []
    assert missing_from(iter(["a.py", "b.py"]), ["b.py", "a.py"]) == ["a.py"]
