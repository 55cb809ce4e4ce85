"""What docs/settings.md says, and what the code has for it."""

from __future__ import annotations

import ast
import inspect
import re
from typing import Any, Final

from project_files import ROOT

from flask_openrouter import config
from flask_openrouter.config import Settings

PAGE: Final = (ROOT / "docs" / "settings.md").read_text(encoding="utf-8")
SECRET: Final = "a secret key of the tests, long enough"


def strings_of(source: str) -> list[str]:
    """Return every string of a module but its docstrings."""
    tree = ast.parse(source)
    bare = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
    return [
        node.value
        for node in ast.walk(tree)
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in bare
    ]


def names_in_the_code() -> set[str]:
    """Return the name of every setting that the code reads."""
    exact = re.compile(r"OPENROUTER_[A-Z_]+[A-Z]")
    source = inspect.getsource(config)
    found = {text for text in strings_of(source) if exact.fullmatch(text)}
    assert found
    return found


def default_of(name: str) -> Any:
    """Return what the code takes when this ``OPENROUTER_`` setting is not there."""
    settings = Settings.from_config({"SECRET_KEY": SECRET})
    if name.startswith("OPENROUTER_ENCRYPTION_KEY"):
        assert settings.encryption_keys == settings.secret_keys == (SECRET.encode(),)
        return [] if name.endswith("FALLBACKS") else None
    default = getattr(settings, name.removeprefix("OPENROUTER_").lower())
    return list(default) if isinstance(default, tuple) else default


def rows_of(section: str) -> list[list[str]]:
    """Return the cells of the first table in this section, without its head."""
    text = PAGE.partition(f"\n## {section}\n")[2].partition("\n## ")[0]
    lines = text.partition("\n|")[2].partition("\n\n")[0].splitlines()[2:]
    assert lines, section
    return [cells(line) for line in lines]


def cells(line: str) -> list[str]:
    """Return the cells of a line of a table."""
    return [cell.strip() for cell in line.strip().removeprefix("|").removesuffix("|").split("|")]
