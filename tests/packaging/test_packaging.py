"""The wheel and sdist as a user gets them. Run by ``make wheel``, which builds them."""

from __future__ import annotations

import subprocess
import sys
import tarfile
import venv
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]

LOGIN = """
from importlib.metadata import entry_points
from flask import Flask
import flask_openrouter
import flask_openrouter.testing
from flask_openrouter import OpenRouterAuth
from flask_openrouter.emulator import run_in_thread

assert "site-packages" in flask_openrouter.__file__, flask_openrouter.__file__
with run_in_thread() as emulator:
    app = Flask(__name__)
    app.config.update(
        TESTING=True, SECRET_KEY="0123456789abcdef", OPENROUTER_BASE_URL=emulator.url
    )
    OpenRouterAuth(app)
    client = app.test_client()
    callback = emulator.approve(client.get("/openrouter/login").location)
    assert client.get(callback).status_code == 303
    assert client.get("/openrouter/status").json["connected"]
    assert client.get("/openrouter/callback").status_code == 400
    assert client.get("/openrouter/static/openrouter.css").status_code == 200
(plugin,) = entry_points(group="pytest11", name="flask_openrouter")
assert plugin.value == "flask_openrouter.pytest_plugin"
print("connected")
"""


@pytest.fixture(scope="module")
def wheel() -> Path:
    wheels = list((ROOT / "dist").glob("*.whl"))
    if not wheels:
        pytest.fail("no wheel is built: run make wheel")
    return wheels[0]


def test_the_wheel_holds_the_package_and_nothing_else(wheel: Path) -> None:
    names = zipfile.ZipFile(wheel).namelist()
    folders = {name.partition("/")[0].partition("-")[0].lower() for name in names}
    assert folders == {"flask_openrouter"}
    for needed in (
        "py.typed",
        "templates/openrouter/error.html",
        "static/openrouter/openrouter.css",
        "emulator/templates/emulator/consent.html",
        "emulator/static/emulator.css",
    ):
        assert f"flask_openrouter/{needed}" in names
    assert not [name for name in names if "__pycache__" in name or "/test_" in name]


def test_the_sdist_holds_the_tests_too() -> None:
    sdists = list((ROOT / "dist").glob("*.tar.gz"))
    if not sdists:
        pytest.fail("no sdist is built: run make wheel")
    with tarfile.open(sdists[0]) as archive:
        names = {name.partition("/")[2] for name in archive.getnames()}
    assert {"README.md", "LICENSE", "CHANGES.md", "Makefile", "pyproject.toml"} <= names
    assert {"tests/conftest.py", "example_app/__init__.py", "docs/images/chat.png"} <= names
    assert not [name for name in names if "__pycache__" in name]


def test_a_login_works_from_the_installed_wheel(wheel: Path, tmp_path: Path) -> None:
    venv.create(tmp_path / "venv", with_pip=True)
    python = tmp_path / "venv" / "bin" / "python"
    subprocess.run([python, "-m", "pip", "install", "--quiet", wheel], check=True)
    done = subprocess.run(
        [python, "-W", "error", "-c", LOGIN], cwd=tmp_path, capture_output=True, text=True
    )
    assert done.stdout.endswith("connected\n"), done.stderr
    assert sys.version_info >= (3, 10)
