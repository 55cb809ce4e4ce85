"""The developer's own key, ``OPENROUTER_API_KEY``, is never read."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from project_files import ROOT
from settings_page import strings_of
from visitor import Visitor

import flask_openrouter
from flask_openrouter.emulator import Emulator
from flask_openrouter.emulator.ledger import fingerprint

PACKAGE = Path(flask_openrouter.__file__).parent


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
