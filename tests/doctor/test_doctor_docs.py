"""docs/doctor.md agrees with the code."""

from __future__ import annotations

import ast
import json
import re
from pathlib import Path
from typing import Any

import flask_openrouter
from flask_openrouter import doctor

DOCS = Path(__file__).parents[2] / "docs"
PAGE = (DOCS / "doctor.md").read_text(encoding="utf-8")
SOURCE = Path(doctor.__file__).parent

#: The functions that create findings, and the severities that each can have.
KINDS = {
    "ok": {"ok"},
    "warning": {"warning"},
    "problem": {"problem"},
    "report": {"warning", "problem"},
    "_not_loaded": set(),
}


def codes_of_the_package() -> dict[str, set[str]]:
    """Return every code in the package with the severities that it can have."""
    found: dict[str, set[str]] = {}
    for path in SOURCE.glob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if not isinstance(node, ast.Call) or not isinstance(node.func, ast.Name):
                continue
            if node.func.id in KINDS and node.args and isinstance(node.args[0], ast.Constant):
                code = node.args[0].value
                found.setdefault(code, set()).update(KINDS[node.func.id])
    return found


def severities(mark: str) -> set[str]:
    """Return the severities that a mark of the page stands for."""
    named = set(re.findall(r"\b(ok|warning|problem)\b", mark))
    # "warning in development": otherwise a problem.
    return named | {"problem"} if not named or re.search(r"^warning (in|for) ", mark) else named


def test_every_code_is_listed_with_its_severities() -> None:
    section = PAGE.partition("## What it finds")[2].partition("## The JSON")[0]
    rows = re.findall(r"^- `(\w+)`(?: \((.+?)\))?: ", section, re.M)
    listed = {code: severities(mark) for code, mark in rows}
    assert len(rows) == len(listed) > 40
    assert listed == codes_of_the_package()


def test_every_check_is_listed(make_app: Any, diagnose: Any) -> None:
    row = next(line for line in PAGE.splitlines() if line.startswith("| `checks` |"))
    assert re.findall(r"`(\w+)`", row)[1:] == diagnose(make_app(), "--live").checks


def test_the_example_matches_the_schema() -> None:
    from jsonschema import Draft202012Validator

    schema = json.loads((DOCS / "doctor.schema.json").read_text(encoding="utf-8"))
    Draft202012Validator.check_schema(schema)
    example = json.loads(PAGE.partition("```json\n")[2].partition("```")[0])
    validator = Draft202012Validator(schema)
    validator.validate(example)
    finding = example["checks"][0]["findings"][0]
    for wrong in ({"remedy": None}, {"severity": "ok"}, {"severity": "bad"}, {"code": "A b"}):
        assert not validator.is_valid(
            {**example, "checks": [{**example["checks"][0], "findings": [{**finding, **wrong}]}]}
        )


def test_no_module_is_long() -> None:
    assert Path(flask_openrouter.__file__).parent in SOURCE.parents
    for path in SOURCE.glob("*.py"):
        assert len(path.read_text(encoding="utf-8").splitlines()) < 300
