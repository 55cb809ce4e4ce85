"""The wheel at work, installed in an environment without the source tree."""

from __future__ import annotations

import json
import shutil
import subprocess
import venv
from pathlib import Path

import pytest
from cases import case
from project_files import ROOT

LOGIN = """
from flask import Flask
import flask_openrouter
import flask_openrouter.testing
from flask_openrouter import OpenRouterAuth, current_openrouter, requires_openrouter_key
from flask_openrouter.emulator import run_in_thread

assert "site-packages" in flask_openrouter.__file__, flask_openrouter.__file__
with run_in_thread() as emulator:
    app = Flask(__name__)
    app.config.update(
        TESTING=True, SECRET_KEY="0123456789abcdef", OPENROUTER_BASE_URL=emulator.url
    )
    OpenRouterAuth(app)

    @app.get("/label")
    @requires_openrouter_key
    def label():
        return current_openrouter.key_info().label

    client = app.test_client()
    assert client.get("/label").status_code == 303
    callback = emulator.approve(client.get("/openrouter/login?next=/label").location)
    answer = client.get(callback)
    assert (answer.status_code, answer.location) == (303, "/label")
    assert client.get("/openrouter/status").json["connected"]
    assert client.get("/label").text.startswith("sk-or-v1-")
    assert client.get("/openrouter/callback").status_code == 400
    for name in ("openrouter.css", "popup.js"):
        assert client.get("/openrouter/static/" + name).status_code == 200
print("connected")
"""

APP = """
from flask import Flask
from flask_openrouter import OpenRouterAuth

app = Flask(__name__)
app.config["SECRET_KEY"] = "0123456789abcdef" * 4
OpenRouterAuth(app)
"""

PLUGIN = """
import flask_openrouter
from flask import Flask
from flask_openrouter import OpenRouterAuth
from flask_openrouter.testing import log_in

def test_login(openrouter_emulator, openrouter_app_config):
    assert "site-packages" in flask_openrouter.__file__
    app = Flask(__name__)
    app.config.update(openrouter_app_config)
    OpenRouterAuth(app)
    client = app.test_client()
    log_in(client, openrouter_emulator)
    assert client.get("/openrouter/status").json["connected"]
"""


def run(*command: str | Path, cwd: Path, ok: tuple[int, ...] = (0,)) -> str:
    done = subprocess.run(command, cwd=cwd, capture_output=True, text=True, timeout=300)
    assert done.returncode in ok, done.stdout + done.stderr
    return done.stdout


def test_a_login_works_with_the_wheel_and_its_dependencies_alone(
    wheel: Path, tmp_path: Path
) -> None:
    """Only this test and the next need the package index: pip installs the dependencies."""
    venv.create(tmp_path / "venv", with_pip=True)
    python = tmp_path / "venv" / "bin" / "python"
    lock = ROOT / ".ci" / "requirements.txt"
    run(python, "-m", "pip", "install", "--quiet", "-c", lock, wheel, cwd=tmp_path)
    assert run(python, "-W", "error", "-c", LOGIN, cwd=tmp_path) == "connected\n"


@pytest.mark.requirement("W21")
def test_a_login_works_beside_what_apps_have_pinned(wheel: Path, tmp_path: Path) -> None:
    venv.create(tmp_path / "venv", with_pip=True)
    python = tmp_path / "venv" / "bin" / "python"
    for flask, werkzeug in [("2.3.3", "2.3.8"), ("3.0.0", "3.0.1"), ("3.0.3", "3.0.6")]:
        with case(flask, werkzeug):
            pins = [f"flask=={flask}", f"werkzeug=={werkzeug}"]
            run(python, "-m", "pip", "install", "--quiet", wheel, *pins, cwd=tmp_path)
            assert run(python, "-c", LOGIN, cwd=tmp_path) == "connected\n"


def test_the_commands_are_there(python: Path, tmp_path: Path) -> None:
    (tmp_path / "app.py").write_text(APP, encoding="utf-8")
    listed = run(python, "-m", "flask", "openrouter", "--help", cwd=tmp_path)
    for command in ("doctor", "emulator"):
        assert f"  {command} " in listed
    answer = run(python, "-m", "flask", "openrouter", "doctor", "--json", cwd=tmp_path, ok=(0, 1))
    assert json.loads(answer)
    assert "Usage" in run(python, "-m", "flask_openrouter.emulator", "--help", cwd=tmp_path)


def test_the_pytest_plugin_is_found(python: Path, tmp_path: Path) -> None:
    (tmp_path / "test_app.py").write_text(PLUGIN, encoding="utf-8")
    command = ["-m", "pytest", "-q", "-W", "error", "-p", "no:cacheprovider"]
    assert "1 passed" in run(python, *command, cwd=tmp_path)


def test_the_tests_of_the_project_pass_against_the_wheel(python: Path, tmp_path: Path) -> None:
    """The copy of the project has no folder ``flask_openrouter``."""
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    shutil.copytree(ROOT / "tests", tmp_path / "tests")
    where = run(python, "-c", "import flask_openrouter as f; print(f.__file__)", cwd=tmp_path)
    assert "site-packages" in where
    assert " passed" in run(python, "-m", "pytest", "-q", "tests/flow", cwd=tmp_path)
