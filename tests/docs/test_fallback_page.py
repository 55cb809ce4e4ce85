"""The recipes of docs/fallback.md, through the front door: nobody can drain the app's key."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from doc_blocks import runs
from flask import Flask, request
from visitor import Visitor
from werkzeug.test import TestResponse

import flask_openrouter
from flask_openrouter.emulator import Emulator


@pytest.fixture
def recipe(emulator: Emulator, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("TRIAL_KEY", emulator.issue_key())
    return run("from flask_limiter import Limiter", emulator)


def run(words: str, emulator: Emulator) -> dict[str, Any]:
    """Run the block of the page that has these words; return its names."""
    ((block,),) = [r for r in runs("python") if r[0].page.stem == "fallback" and words in r[0].code]
    app = Flask("documented")
    app.config.update(TESTING=True, SECRET_KEY="x" * 40, OPENROUTER_BASE_URL=emulator.url)
    public = {name: getattr(flask_openrouter, name) for name in flask_openrouter.__all__}
    names: dict[str, Any] = {**public, "app": app, "request": request}
    exec(compile(block.code, block.name, "exec"), names)  # noqa: S102 - our documentation
    return names


def ask(visitor: Visitor, address: str = "192.0.2.1") -> TestResponse:
    visitor.client.environ_base["REMOTE_ADDR"] = address
    return visitor.post("/ask", data={"question": "Hello?", "model": "openai/gpt-4o"})


def test_three_questions_are_free_and_then_the_visitor_connects(
    recipe: dict[str, Any], emulator: Emulator
) -> None:
    visitor = Visitor(recipe["app"])
    assert [ask(visitor).status_code for _ in range(4)] == [200, 200, 200, 303]
    visitor.connect(emulator)
    assert ask(visitor).json["answer"]
    visitor.post("/openrouter/disconnect")
    assert ask(visitor).status_code == 303, "connecting brings no new free questions"


def test_a_visitor_who_deletes_the_cookie_is_counted_by_address(
    recipe: dict[str, Any], caplog: pytest.LogCaptureFixture
) -> None:
    answers = [ask(Visitor(recipe["app"])).status_code for _ in range(11)]
    assert answers == [200] * 10 + [303]
    assert ask(Visitor(recipe["app"]), "192.0.2.2").status_code == 200
    assert "No free question left for this address." in caplog.text


def test_many_addresses_cannot_drain_the_key_unnoticed(
    recipe: dict[str, Any], caplog: pytest.LogCaptureFixture
) -> None:
    limit, name = recipe["LIMITS"]["app"]
    assert limit.amount == 500
    recipe["LIMITS"]["app"] = type(limit)(4), name
    answers = [ask(Visitor(recipe["app"]), f"192.0.2.{n}").status_code for n in range(5)]
    assert answers == [200] * 4 + [303]
    assert "No free question left for this app." in caplog.text


def test_the_first_block_lets_visitors_choose_only_with_their_own_key(
    emulator: Emulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    visitor = Visitor(run("from flask_limiter import Limiter", emulator)["app"])
    assert ask(visitor).status_code == 303, "without the variable there is nothing to try"
    monkeypatch.setenv("TRIAL_KEY", emulator.issue_key())
    assert ask(visitor).json["is_free"] is True
    visitor.connect(emulator)
    assert ask(visitor).json["is_free"] is False
    bodies = [r.body for r in emulator.requests if r.path == "/api/v1/chat/completions"]
    assert [(body["model"], body.get("max_tokens")) for body in bodies] == [
        ("openai/gpt-4o-mini", 300),
        ("openai/gpt-4o", None),
    ]
