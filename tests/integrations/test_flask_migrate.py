"""Flask-Migrate: the table of keys belongs to ``db``, and migrations make and drop it."""

from __future__ import annotations

import os
import secrets
import subprocess
import sys
from collections.abc import Callable, Iterator
from importlib.util import find_spec
from pathlib import Path

import pytest
from components import require
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

Flask = Callable[..., str]


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.every_variant)])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path}/app.db"
    return str(request.getfixturevalue("postgresql_url"))


@pytest.fixture
def flask(tmp_path: Path, url: str) -> Flask:
    """Run ``flask …`` in the app's folder, and return what it prints."""
    if find_spec("flask_migrate") is None:
        require("Flask-Migrate", "not installed (pip install --group test)")
    (tmp_path / "app.py").write_text(APP, encoding="utf-8")
    secret = secrets.token_hex()

    def run(*arguments: str, fails: bool = False) -> str:
        done = subprocess.run(
            [sys.executable, "-m", "flask", *arguments],
            cwd=tmp_path,
            env={
                **os.environ,
                "PYTHONPATH": os.pathsep.join(sys.path),
                "FLASK_SECRET_KEY": secret,
                "FLASK_SQLALCHEMY_DATABASE_URI": url,
            },
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        assert (done.returncode != 0) == fails, done.stdout
        return done.stdout

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
    output = flask("openrouter", "owners", fails=True)
    assert "The table 'openrouter_keys' does not exist." in output
    assert "flask db upgrade" in output
    assert tables() == set(), "the storage makes no table beside the migrations"

    flask("db", "init")
    flask("db", "migrate")
    flask("db", "upgrade")
    assert tables() == {"note", "openrouter_keys"}
    assert "No key was found" in flask("openrouter", "owners")
    assert "No changes in schema detected" in flask("db", "migrate")
    flask("db", "check")

    flask("db", "downgrade")
    assert tables() == set()
    flask("db", "upgrade")
    assert "No key was found" in flask("openrouter", "rotate")


@pytest.mark.requirement("W14")
def test_the_doctor_names_the_migration_that_is_missing(flask: Flask) -> None:
    output = flask("openrouter", "doctor", fails=True)
    assert "[storage_unusable]" in output
    assert "make it with flask db migrate" in " ".join(output.split())
