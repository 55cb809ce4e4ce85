"""The README's table of settings is the settings."""

from __future__ import annotations

import ast
import inspect
import re
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from visitor import Visitor

import flask_openrouter
from flask_openrouter import config
from flask_openrouter.emulator import Emulator
from flask_openrouter.emulator.keys import fingerprint

ROOT = Path(__file__).parents[2]
PACKAGE = Path(flask_openrouter.__file__).parent
ALWAYS_OF_FLASK = {"SECRET_KEY", "SECRET_KEY_FALLBACKS"}


def _strings(source: str) -> list[str]:
    """Return every string of a module but its docstrings."""
    tree = ast.parse(source)
    bare = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
    return [
        node.value
        for node in ast.walk(tree)
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in bare
    ]


def _in_table() -> Counter[str]:
    section = (ROOT / "README.md").read_text(encoding="utf-8").partition("\n## Settings\n")[2]
    rows = [line for line in section.partition("\n## ")[0].splitlines() if line.startswith("| `")]
    return Counter(name for row in rows for name in re.findall(r"`([A-Z_]+)`", row.split("|")[1]))


def test_every_setting_is_in_the_table_once() -> None:
    exact = re.compile(r"OPENROUTER_[A-Z_]+[A-Z]")
    read = {text for text in _strings(inspect.getsource(config)) if exact.fullmatch(text)}
    table = _in_table()
    assert read
    assert set(table) - ALWAYS_OF_FLASK == read
    assert set(table.values()) == {1}


@pytest.mark.parametrize("folder", ["flask_openrouter", "example_app"])
def test_openrouter_api_key_is_named_nowhere_in_the_code(folder: str) -> None:
    base = PACKAGE if folder == "flask_openrouter" else ROOT / folder
    paths = list(base.rglob("*.py"))
    assert paths
    # Built from parts, so that a search for the name finds only what matters.
    name = "_".join(["OPENROUTER", "API", "KEY"])
    for path in paths:
        assert not [text for text in _strings(path.read_text(encoding="utf-8")) if name in text]


def test_a_key_of_the_developer_is_never_used(
    make_app: Callable[..., Flask], emulator: Emulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Neither from the environment nor from the config, with any of the three ways to call."""
    developer_key = emulator.issue_key()
    monkeypatch.setenv("OPENROUTER_API_KEY", developer_key)
    monkeypatch.setenv("OPENAI_API_KEY", developer_key)
    app = make_app(OPENROUTER_API_KEY=developer_key)
    question: Any = [{"role": "user", "content": "Hello"}]
    model = "openai/gpt-4o-mini"

    @app.get("/ask")
    @flask_openrouter.requires_openrouter_key
    def ask() -> str:
        connection = flask_openrouter.current_openrouter
        connection.session.post("chat/completions", json={"model": model, "messages": question})
        with connection.openai() as client:
            client.chat.completions.create(model=model, messages=question)
        connection.sdk().chat.send(model=model, messages=question)
        connection.key_info()
        return "asked"

    visitor = Visitor(app)
    assert visitor.get("/ask").status_code == 303
    visitor.connect(emulator)
    assert visitor.get("/ask").text == "asked"
    used = {record.api_key_hash for record in emulator.requests} - {None}
    assert len(used) == 1
    assert fingerprint(developer_key) not in used
