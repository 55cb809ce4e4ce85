"""The table of all settings in docs/settings.md has every setting with its default."""

from __future__ import annotations

import ast
import re
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from settings_page import PAGE, default_of, names_in_the_code, strings_of
from visitor import Visitor

import flask_openrouter
from flask_openrouter.emulator import Emulator
from flask_openrouter.emulator.ledger import fingerprint

ROOT = Path(__file__).parents[2]
PACKAGE = Path(flask_openrouter.__file__).parent
ALWAYS_OF_FLASK = {"SECRET_KEY", "SECRET_KEY_FALLBACKS"}


def _rows() -> list[list[str]]:
    section = PAGE.partition("\n## All settings\n")[2]
    rows = [line for line in section.partition("\n## ")[0].splitlines() if line.startswith("| `")]
    return [[cell.strip() for cell in row.strip("|").split("|")] for row in rows]


def _names(cell: str) -> list[str]:
    return re.findall(r"`([A-Z_]+)`", cell)


def _in_table() -> Counter[str]:
    return Counter(name for row in _rows() for name in _names(row[0]))


#: Defaults that the table describes in words, and their values in the code.
IN_WORDS = {
    "none": ([], None),
    "required": (None,),
    "derived": (None,),
    "the visitor's cookie": (None,),
    "from the request": (None,),
    # Where the app's root is, only a request tells.
    "`/`": (None,),
    "a page of the extension": (None,),
}


def test_the_defaults_are_those_of_the_code() -> None:
    for names, shown, *_ in _rows():
        for name in set(_names(names)) - ALWAYS_OF_FLASK:
            default = default_of(name)
            if shown in IN_WORDS:
                assert default in IN_WORDS[shown], name
            elif isinstance(default, str):
                assert shown == f"`{default}`", name
            else:
                assert ast.literal_eval(shown.strip("`")) == default, name


def test_every_setting_is_in_the_table_once() -> None:
    table = _in_table()
    assert set(table) - ALWAYS_OF_FLASK == names_in_the_code()
    assert set(table.values()) == {1}


def test_openrouter_api_key_is_named_nowhere_in_the_code() -> None:
    # Built from parts, so that a search for the name finds only what matters.
    name = "_".join(["OPENROUTER", "API", "KEY"])
    for folder in (PACKAGE, ROOT / "example_app"):
        paths = list(folder.rglob("*.py"))
        assert paths
        for path in paths:
            strings = strings_of(path.read_text(encoding="utf-8"))
            assert [text for text in strings if name in text] == [], path


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
