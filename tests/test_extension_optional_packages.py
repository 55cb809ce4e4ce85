"""An app without a package: it starts without the optional ones, and each error names its own."""

from __future__ import annotations

import subprocess
import sys

import pytest

#: ``import`` fails as in an environment without the packages, their parts and their plugins.
BLOCKER = """
import sys
from importlib.abc import MetaPathFinder

class Missing(MetaPathFinder):
    def find_spec(self, name, path, target=None):
        if name.partition(".")[0] in PACKAGES:
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)

sys.meta_path.insert(0, Missing())
"""

START = """
from flask import Flask
from flask_openrouter import OpenRouterAuth

app = Flask("tried")
app.config["SECRET_KEY"] = "0123456789abcdef" * 2
app.config["OPENROUTER_STORAGE_URI"] = URI
OpenRouterAuth(app)
"""

CALL = """
from flask import Flask
from flask_openrouter import OpenRouterAuth, current_openrouter
from flask_openrouter.testing import app_config, log_in, run_in_thread

with run_in_thread() as emulator:
    app = Flask("tried")
    app.config.update(app_config(emulator))
    OpenRouterAuth(app)
    app.get("/call")(lambda: str(getattr(current_openrouter, METHOD)()))
    client = app.test_client()
    log_in(client, emulator)
    client.get("/call")
"""


def run_without(
    packages: tuple[str, ...], program: str, **names: str
) -> subprocess.CompletedProcess[str]:
    constants = "".join(f"{name} = {value!r}\n" for name, value in names.items())
    return subprocess.run(
        [sys.executable, "-c", f"PACKAGES = {packages!r}\n{constants}{BLOCKER}{program}"],
        capture_output=True,
        text=True,
    )


def last_line(package: str, program: str, **names: str) -> str:
    """Run a program where this package is missing; return the last line of its traceback."""
    done = run_without((package,), program, **names)
    assert done.returncode == 1, done.stderr
    # The reader needs no chain of causes to understand it.
    assert "During handling" not in done.stderr
    assert "direct cause" not in done.stderr
    return done.stderr.splitlines()[-1]


@pytest.mark.parametrize(
    ("package", "uri", "message"),
    [
        (
            "sqlalchemy",
            "sqlite:///keys.db",
            "OPENROUTER_STORAGE_URI: Keeping keys in a database needs SQLAlchemy:"
            ' pip install "Flask-OpenRouter[sqlalchemy]"',
        ),
        (
            "redis",
            "redis://localhost",
            "OPENROUTER_STORAGE_URI: Keeping keys in Redis needs redis-py:"
            ' pip install "Flask-OpenRouter[redis]"',
        ),
        (
            "psycopg",
            "postgresql+psycopg://localhost/keys",
            "OPENROUTER_STORAGE_URI: The database driver cannot be imported (No module named"
            " 'psycopg'). Install it, or name another in the URL, as in postgresql+psycopg://…",
        ),
    ],
)
def test_a_storage_without_its_package_names_it(package: str, uri: str, message: str) -> None:
    found = last_line(package, START, URI=uri)
    assert found == f"flask_openrouter.errors.ConfigurationError: {message}"


@pytest.mark.parametrize(("method", "package"), [("openai", "openai"), ("sdk", "openrouter")])
def test_a_client_without_its_package_names_it(method: str, package: str) -> None:
    assert last_line(package, CALL, METHOD=method) == (
        f"flask_openrouter.errors.ConfigurationError: current_openrouter.{method}() needs the"
        f" {package} package: pip install {package}"
    )


def test_without_the_optional_packages_everything_else_works() -> None:
    """This also shows that the blocker alone does not make the programs above fail."""
    program = START.replace('app.config["OPENROUTER_STORAGE_URI"] = URI\n', "")
    done = run_without(("sqlalchemy", "redis", "openai", "openrouter"), program)
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.requirement("R83")
def test_without_cryptography_no_app_starts() -> None:
    program = START.replace('app.config["OPENROUTER_STORAGE_URI"] = URI\n', "") + "print('started')"
    done = run_without(("cryptography",), program)
    assert (done.returncode, done.stdout) == (1, "")
    assert "pip install cryptography" in done.stderr.splitlines()[-1]
