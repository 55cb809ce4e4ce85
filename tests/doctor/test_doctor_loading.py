"""The doctor in this process: apps that cannot be created, and the comparison of two processes."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from cases import case
from click.testing import CliRunner
from flask import Flask
from flask.cli import NoAppException, ScriptInfo

from flask_openrouter import OpenRouterAuth
from flask_openrouter.cli import commands
from flask_openrouter.doctor import Doctor
from flask_openrouter.doctor.finding import Result
from flask_openrouter.doctor.report import print_report
from flask_openrouter.doctor.workers import Workers
from flask_openrouter.errors import ConfigurationError

SECRET = "0f1e2d3c4b5a69788796a5b4c3d2e1f0"
APP = f"""
from flask import Flask
from flask_openrouter import OpenRouterAuth

app = Flask(__name__)
app.config["SECRET_KEY"] = "{SECRET}"
OpenRouterAuth(app)
"""


def create_app_without_secret() -> Flask:
    app = Flask("broken")
    OpenRouterAuth(app)
    return app


def raising(error: Exception) -> Callable[[], Flask]:
    def create_app() -> Flask:
        raise error

    return create_app


def test_an_app_that_cannot_be_created_is_the_only_finding() -> None:
    for create_app, code, title in [
        (create_app_without_secret, "configuration", "SECRET_KEY is not set."),
        (raising(NoAppException("Not here:\n\nTraceback")), "app_not_loaded", "Not here."),
        (raising(KeyError("hunter2")), "app_not_loaded", "Creating the app raises KeyError at "),
    ]:
        with case(title):
            (result,) = Doctor(create_app, Workers()).run()
            (finding,) = result.findings
            assert (result.name, finding.code) == ("app", code)
            assert finding.title.startswith(title)
            assert "hunter2" not in finding.title


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["rotate"], "Error: SECRET_KEY is not set."),
        (["doctor"], "FAIL  App\n      SECRET_KEY is not set. [configuration]"),
    ],
)
def test_the_commands_exist_without_an_app(arguments: list[str], words: str) -> None:
    info = ScriptInfo(create_app=create_app_without_secret)
    result = CliRunner().invoke(commands, arguments, obj=info)
    assert result.exit_code == 1
    assert result.output.startswith(words)
    assert "Traceback" not in result.output


def test_the_message_of_a_wrong_setting_is_split_into_title_and_remedy() -> None:
    for message, title, remedy in [
        ("A is wrong. Set it to b. Or c.", "A is wrong.", "Set it to b. Or c."),
        ("A must be a number.", "A must be a number.", "Correct this setting."),
        ("A: not so; did you mean b?", "A: not so; did you mean b?", "Correct this setting."),
        ('A needs b: pip install "c[b]"', "A needs b.", 'pip install "c[b]"'),
    ]:
        with case(message, title, remedy):
            (result,) = Doctor(raising(ConfigurationError(message)), Workers()).run()
            (finding,) = result.findings
            assert (finding.title, finding.remedy) == (title, remedy)


def test_an_ok_finding_has_no_remedy(production: Any) -> None:
    result = production().test_cli_runner().invoke(args=["openrouter", "doctor"])
    assert result.exit_code == 0
    assert "ok    Storage\n      Keys live in the visitors' browsers" in result.output
    assert "Remedy" not in result.output
    assert result.output.endswith("\n0 problems, 0 warnings.\n")


@pytest.mark.parametrize(
    ("secret", "text", "code"),
    [
        (SECRET, APP, None),
        (SECRET.upper(), APP, "workers_differ"),
        (SECRET, "raise OSError", "workers_not_compared"),
    ],
)
def test_the_keys_of_two_processes_are_compared(
    secret: str,
    text: str,
    code: str | None,
    production: Any,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    (tmp_path / "same.py").write_text(text, encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    (*_, result) = Doctor(lambda: production(SECRET_KEY=secret), Workers("same")).run()
    assert [finding.code for finding in result.findings] == ([] if code is None else [code])


@pytest.mark.requirement("M3")
def test_the_output_of_a_process_is_reserved_until_its_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    results = [Result("app", "App", ())]
    with (tmp_path / "out").open("w") as stdout, (tmp_path / "err").open("w") as stderr:
        monkeypatch.setattr(sys, "stdout", stdout)
        monkeypatch.setattr(sys, "__stdout__", stdout)
        monkeypatch.setattr(sys, "stderr", stderr)
        assert print_report(results, as_json=True) == 0
        print("Bye.", flush=True)
        os.write(stdout.fileno(), b"From a program.")
    assert json.loads((tmp_path / "out").read_text())["checks"][0]["name"] == "app"
    assert (tmp_path / "err").read_text() == "Bye.\nFrom a program."
