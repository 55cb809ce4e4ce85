"""Flask-SQLAlchemy: keys in the app's own database, through ``db`` or its engine."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
from components import require
from flask import Flask
from visitor import Visitor, fingerprint

from flask_openrouter import OpenRouterAuth, current_openrouter, requires_openrouter_key
from flask_openrouter.emulator import Emulator
from flask_openrouter.errors import KeyRejectedError
from flask_openrouter.storage.sqlalchemy import SQLAlchemyStorage

MakeSite = Callable[..., "Site"]


class Site:
    """An app with a table of notes, whose views write a row before they use the key."""

    def __init__(self, url: str, emulator: Emulator, *, storage_of: Callable[[Any], Any]) -> None:
        from flask_sqlalchemy import SQLAlchemy

        self.db: Any = SQLAlchemy()
        self.app = app = Flask("with_database")
        app.config.update(
            TESTING=True,
            SECRET_KEY=secrets.token_hex(),
            OPENROUTER_BASE_URL=emulator.url,
            SQLALCHEMY_DATABASE_URI=url,
        )
        self.db.init_app(app)
        db = self.db

        class Note(db.Model):  # type: ignore[misc, name-defined]
            id = db.Column(db.Integer, primary_key=True)

        self.note = Note
        self.storage = storage_of(db)
        OpenRouterAuth(app, storage=self.storage)

        @app.get("/guarded")
        @requires_openrouter_key
        def guarded() -> str:
            return fingerprint(current_openrouter.api_key)

        @app.post("/disconnect-<end>")
        def disconnect(end: str) -> str:
            db.session.add(Note())
            db.session.flush()
            current_openrouter.disconnect()
            getattr(db.session, end)()
            return "done"

        @app.post("/ask")
        @requires_openrouter_key
        def ask() -> str:
            db.session.add(Note())
            db.session.flush()
            try:
                current_openrouter.key_info()
            except KeyRejectedError:
                db.session.commit()
                return "rejected"
            return "accepted"

    def notes(self) -> int:
        with self.app.app_context():
            return int(self.db.session.query(self.note).count())


STORAGES: dict[str, Callable[[Any], Any]] = {
    "db": SQLAlchemyStorage,
    "db.engine": lambda db: SQLAlchemyStorage(lambda: db.engine),
}


@pytest.fixture(params=STORAGES)
def storage_of(request: pytest.FixtureRequest) -> Callable[[Any], Any]:
    return STORAGES[request.param]


@pytest.fixture
def make_site(emulator: Emulator, storage_of: Any) -> Iterator[MakeSite]:
    if find_spec("flask_sqlalchemy") is None:
        require("Flask-SQLAlchemy", "not installed (pip install --group test)")
    sites: list[Site] = []

    def make(url: str, *, create_all: bool = True) -> Site:
        sites.append(Site(url, emulator, storage_of=storage_of))
        with sites[-1].app.app_context():
            if create_all:
                sites[-1].db.create_all()
        return sites[-1]

    yield make
    for site in sites:
        with site.app.app_context():
            site.db.session.remove()
            site.db.engine.dispose()


@pytest.mark.requirement("W16")
@pytest.mark.parametrize("url", ["sqlite://", "sqlite:///:memory:"])
def test_a_database_in_memory_works_as_in_the_tests_of_tutorials(
    url: str, make_site: MakeSite, emulator: Emulator
) -> None:
    site = make_site(url)
    visitor = Visitor(site.app)
    visitor.connect(emulator)
    assert visitor.key is not None
    assert visitor.post("/disconnect-commit").text == "done"
    assert visitor.key is None
    assert site.notes() == 1


@pytest.mark.requirement("W17")
@pytest.mark.parametrize(("end", "notes"), [("commit", 1), ("rollback", 0)])
def test_a_view_that_has_written_a_row_disconnects_at_once(
    end: str, notes: int, make_site: MakeSite, emulator: Emulator, tmp_path: Path
) -> None:
    site = make_site(f"sqlite:///{tmp_path}/app.db?timeout=60")
    visitor = Visitor(site.app)
    visitor.connect(emulator)
    assert visitor.key is not None
    assert visitor.post(f"/disconnect-{end}").text == "done"
    assert visitor.key is None
    assert site.notes() == notes


@pytest.mark.requirement("W17")
def test_a_dead_key_in_a_view_that_has_written_a_row_is_noticed_at_once(
    make_site: MakeSite, emulator: Emulator, tmp_path: Path
) -> None:
    site = make_site(f"sqlite:///{tmp_path}/app.db?timeout=60")
    visitor = Visitor(site.app)
    visitor.connect(emulator)
    assert visitor.post("/ask").text == "accepted"
    emulator.reset()
    assert visitor.post("/ask").text == "rejected"
    assert visitor.key is None


@pytest.mark.requirement("W14")
def test_a_missing_table_is_a_503_that_says_how_to_make_it(
    make_site: MakeSite,
    emulator: Emulator,
    tmp_path: Path,
    storage_of: Any,
    caplog: pytest.LogCaptureFixture,
) -> None:
    if storage_of is not SQLAlchemyStorage:
        return
    site = make_site(f"sqlite:///{tmp_path}/app.db", create_all=False)
    visitor = Visitor(site.app)
    answer = visitor.get(emulator.approve(visitor.start()))
    assert answer.status_code == 503
    assert "openrouter_keys" not in answer.text
    assert "The table 'openrouter_keys' does not exist." in caplog.text
    assert "flask db upgrade, or with db.create_all()" in caplog.text
    with site.app.app_context():
        site.db.create_all()
    assert visitor.get("/guarded").status_code == 303
    visitor.connect(emulator)
    assert visitor.key is not None
