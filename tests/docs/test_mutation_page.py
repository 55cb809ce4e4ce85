"""docs/mutation.md and the list of survivors name exactly the modules that are mutated."""

from __future__ import annotations

import ast
import re

from doc_blocks import ROOT

PAGE = (ROOT / "docs" / "mutation.md").read_text(encoding="utf-8")
SURVIVORS = (ROOT / "tests" / "mutation" / "survivors.md").read_text(encoding="utf-8")


def mutated_modules() -> set[str]:
    """The keys of TESTS, read without mutmut."""
    runner = ast.parse((ROOT / "tests" / "mutation" / "mutate.py").read_text(encoding="utf-8"))
    (tests,) = [
        node.value
        for node in runner.body
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "TESTS"
    ]
    return set(ast.literal_eval(tests))


def test_the_pages_have_every_module_that_is_mutated_and_no_other() -> None:
    assert set(re.findall(r"^\| `([a-z_/]+)` \| \d", PAGE, re.M)) == mutated_modules()
    assert set(re.findall(r"^## `([a-z_/]+)`$", SURVIVORS, re.M)) == mutated_modules()
    for module in mutated_modules():
        assert (ROOT / "flask_openrouter" / f"{module}.py").is_file()
