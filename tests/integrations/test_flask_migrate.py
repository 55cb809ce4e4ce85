"""Flask-Migrate: the table of keys belongs to ``db``, and migrations make and drop it."""

from __future__ import annotations

import json
import os
import secrets
import subprocess
import sys
from collections.abc import Callable, Iterator
from importlib.util import find_spec
from pathlib import Path

import pytest
from components import require
from deployment_page import block
from sqlalchemy import create_engine, inspect

APP = """
from flask import Flask
from flask_migrate import Migrate
from flask_sqlalchemy import SQLAlchemy

from flask_openrouter import OpenRouterAuth
from flask_openrouter.storage.sqlalchemy import SQLAlchemyStorage

db = SQLAlchemy()


class Note(db.Model):
    id = db.Column(db.Integer, primary_key=True)
    words = db.Column(db.Text)


auth = OpenRouterAuth(storage=SQLAlchemyStorage(db))


def create_app():
    app = Flask(__name__)
    app.config.from_prefixed_env()
    db.init_app(app)
    Migrate(app, db)
    auth.init_app(app)
    return app
"""

Flask = Callable[..., list[str]]


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.every_variant)])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path}/app.db"
    return str(request.getfixturevalue("postgresql_url"))


#: Runs the commands of its arguments, each a JSON list, and prints what they print and return.
RUN = """
import json, sys
from app import create_app

runner = create_app().test_cli_runner()
done = [runner.invoke(args=json.loads(command)) for command in sys.argv[1:]]
print(json.dumps([[result.output, result.exit_code] for result in done]))
"""


@pytest.fixture
def flask(tmp_path: Path, url: str) -> Flask:
    """Run ``flask`` commands in the app's folder, in one process, and return what each prints.

    The status of a command is 0, or 1 if its first letter is ``!``.
    """
    if find_spec("flask_migrate") is None:
        require("Flask-Migrate", "not installed (pip install --group test)")
    (tmp_path / "app.py").write_text(APP, encoding="utf-8")
    secret = secrets.token_hex()

    def run(*commands: str) -> list[str]:
        words = [json.dumps(command.strip("!").split()) for command in commands]
        done = subprocess.run(
            [sys.executable, "-c", RUN, *words],
            cwd=tmp_path,
            env={
                **os.environ,
                "PYTHONPATH": os.pathsep.join(sys.path),
                "FLASK_SECRET_KEY": secret,
                "FLASK_SQLALCHEMY_DATABASE_URI": url,
            },
            capture_output=True,
            text=True,
        )
        assert done.returncode == 0, done.stderr
        results = json.loads(done.stdout.splitlines()[-1])
        for command, (output, status) in zip(commands, results, strict=True):
            assert (status != 0) == command.startswith("!"), output + done.stderr
        return [output + done.stderr for output, _ in results]

    return run


@pytest.fixture
def tables(url: str) -> Iterator[Callable[[], set[str]]]:
    """Return the names of the tables that the database has now."""
    engine = create_engine(url)
    yield lambda: {*inspect(engine).get_table_names()} - {"alembic_version"}
    engine.dispose()


@pytest.mark.requirement("W14")
def test_migrations_with_the_stock_env_make_the_table_and_drop_it(
    flask: Flask, tables: Callable[[], set[str]]
) -> None:
    (output,) = flask("!openrouter owners")
    assert "The table 'openrouter_keys' does not exist." in output
    assert "flask db upgrade" in output
    assert tables() == set(), "the storage makes no table beside the migrations"

    *_, owners, unchanged = flask(
        "db init", "db migrate", "db upgrade", "openrouter owners", "db migrate"
    )
    assert tables() == {"note", "openrouter_keys"}
    assert "No key was found" in owners
    assert "No changes in schema detected" in unchanged

    flask("db downgrade")
    assert tables() == set()
    assert "No key was found" in flask("db upgrade", "openrouter rotate")[-1]


@pytest.mark.requirement("W14")
def test_a_table_that_db_does_not_know_has_to_be_excluded(
    flask: Flask, tables: Callable[[], set[str]], tmp_path: Path
) -> None:
    app = APP.replace("SQLAlchemyStorage(db)", "SQLAlchemyStorage(lambda: db.engine)")
    (tmp_path / "app.py").write_text(app, encoding="utf-8")
    assert "Detected removed table" in flask("openrouter owners", "db init", "db migrate")[-1]
    for migration in (tmp_path / "migrations" / "versions").glob("*.py"):
        migration.unlink()

    recipe = block("python", "def include_name(", "storage")
    recipe, call = recipe.split("\n\n\n")
    app = app.replace("Migrate(app, db)", call.strip()).replace("\nauth", f"{recipe}\n\nauth")
    (tmp_path / "app.py").write_text(app, encoding="utf-8")
    flask("db migrate", "db upgrade")
    assert tables() == {"note", "openrouter_keys"}


@pytest.mark.requirement("W14")
def test_the_doctor_names_the_migration_that_is_missing(flask: Flask) -> None:
    (output,) = flask("!openrouter doctor")
    assert "[storage_unusable]" in output
    assert "make it with flask db migrate" in " ".join(output.split())
