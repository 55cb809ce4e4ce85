"""PostgreSQL as docs/deployment.md sets it up: the account, a restore, and leaked secrets."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest
from deployment_page import app_account, block, encryption_key
from flask import Flask, session
from servers import PostgreSQLServer
from visitor import Visitor

from flask_openrouter.emulator import Emulator

MakeApp = Any
#: What the account of the app has no right to.
FORBIDDEN = [
    "CREATE TABLE other (id int)",
    "DROP TABLE openrouter_keys",
    "TRUNCATE openrouter_keys",
    "ALTER TABLE openrouter_keys ADD COLUMN more text",
    "SELECT * FROM invoices",
    "CREATE ROLE other",
    "CREATE DATABASE other",
    "SELECT pg_read_file('/etc/passwd')",
    "COPY openrouter_keys TO PROGRAM 'cat'",
]


@pytest.fixture
def account(postgresql: PostgreSQLServer) -> Iterator[str]:
    with app_account(postgresql) as url:
        yield url


@pytest.fixture
def make_stored_app(make_app: MakeApp, account: str) -> MakeApp:
    """Build apps over the database. A user is signed in by the session."""

    def make(url: str = account, **config: Any) -> Flask:
        app: Flask = make_app(OPENROUTER_STORAGE_URI=url, **config)
        app.extensions["openrouter"].app_functions.owner_loader = lambda: session.get("user")
        return app

    return make


def database_of(url: str) -> str:
    return url.rpartition("/")[2]


@pytest.mark.requirement("P8")
def test_the_account_can_keep_keys_and_nothing_else(
    make_stored_app: MakeApp, account: str, emulator: Emulator, postgresql: PostgreSQLServer
) -> None:
    app = make_stored_app()
    visitor, other = Visitor(app), Visitor(app)
    for each in (visitor, other):
        each.connect(emulator)
    assert visitor.key is not None
    assert visitor.post("/openrouter/disconnect").status_code == 303
    assert visitor.key is None
    for command in ("rotate", "prune", "owners"):
        result = app.test_cli_runner().invoke(args=["openrouter", command])
        assert result.exit_code == 0, result.output
    postgresql.execute("CREATE TABLE invoices (id int)", database=database_of(account))
    url = account.replace("+psycopg", "")
    with psycopg.connect(url, autocommit=True) as connection:
        for statement in FORBIDDEN:
            with pytest.raises(psycopg.errors.InsufficientPrivilege):
                connection.execute(statement)
        row = connection.execute("SHOW statement_timeout").fetchone()
        assert row == ("5s",)


@pytest.mark.requirement("P8")
def test_without_the_grant_no_code_is_spent(
    make_stored_app: MakeApp, account: str, emulator: Emulator, postgresql: PostgreSQLServer
) -> None:
    revoke = "REVOKE INSERT ON openrouter_keys FROM app"
    postgresql.execute(revoke, database=database_of(account))
    visitor = Visitor(make_stored_app())
    callback_url = emulator.approve(visitor.start())
    assert visitor.get(callback_url).status_code == 503
    (grant,) = block("sql", "GRANT", "storage").split(";")[:1]
    postgresql.execute(grant, database=database_of(account))
    assert visitor.get("/openrouter/status").json["connected"] is False


@pytest.mark.requirement("P13")
def test_a_backup_is_restored_and_its_keys_open(
    make_stored_app: MakeApp,
    account: str,
    emulator: Emulator,
    postgresql: PostgreSQLServer,
    tmp_path: Path,
) -> None:
    """The commands of docs/storage.md: pg_dump of the table, then ``rotate`` on the copy."""
    secret, key = "a secret key of the app: 0123456789", encryption_key()
    settings = {"SECRET_KEY": secret, "OPENROUTER_ENCRYPTION_KEY": key}
    visitor = Visitor(make_stored_app(**settings))
    with visitor.client.session_transaction() as signed_in:
        signed_in["user"] = "ada"
    visitor.connect(emulator)
    before = visitor.key
    lines = block("text", "pg_dump", "storage").splitlines()
    (dump,) = [line.partition("#")[0] for line in lines if "pg_dump" in line]
    dump = dump.removeprefix("$ ").replace(" app ", f" {database_of(account)} ")
    restored_url = postgresql.create_database()
    for command in (dump, f"psql --quiet {database_of(restored_url)} < keys.sql"):
        subprocess.run(
            ["bash", "-euc", f"export PATH={postgresql.programs}:$PATH; {command}"],
            cwd=tmp_path,
            env={
                "PATH": os.environ["PATH"],
                "PGHOST": "127.0.0.1",
                "PGUSER": "tester",
                "PGPORT": str(postgresql.port),
                "PGPASSWORD": postgresql.password,
            },
            check=True,
            capture_output=True,
        )
    dumped = (tmp_path / "keys.sql").read_text()
    assert "ada" in dumped
    assert "sk-or" not in dumped
    restored = make_stored_app(restored_url, **settings)
    rotate = restored.test_cli_runner().invoke(args=["openrouter", "rotate"])
    assert rotate.exit_code == 0
    assert rotate.stdout == "0 rotated, 1 already current, 0 unreadable, 0 gone meanwhile.\n"
    after = Visitor(restored)
    with after.client.session_transaction() as signed_in:
        signed_in["user"] = "ada"
    assert after.key == before
    # With another encryption key, the copy is worthless, and so is a leaked database.
    stolen = make_stored_app(
        restored_url, **{**settings, "OPENROUTER_ENCRYPTION_KEY": encryption_key()}
    )
    rotate = stolen.test_cli_runner().invoke(args=["openrouter", "rotate"])
    assert rotate.exit_code == 1
    assert "1 unreadable" in rotate.stdout


@pytest.mark.requirement("P13")
@pytest.mark.parametrize("is_user", [True, False], ids=["user", "visitor without an account"])
@pytest.mark.parametrize("leaked", ["SECRET_KEY", "OPENROUTER_ENCRYPTION_KEY", "both in one"])
def test_a_leaked_secret_is_replaced(
    make_stored_app: MakeApp, emulator: Emulator, leaked: str, is_user: bool
) -> None:
    """As the page says who stays connected when a secret is replaced without a fallback."""
    settings = {"SECRET_KEY": "a secret key of the app: 0123456789"}
    if leaked != "both in one":
        settings["OPENROUTER_ENCRYPTION_KEY"] = encryption_key()
    old = Visitor(make_stored_app(**settings))

    def sign_in(visitor: Visitor) -> None:
        if is_user:
            with visitor.client.session_transaction() as signed_in:
                signed_in["user"] = "ada"

    sign_in(old)
    old.connect(emulator)
    callback_url = emulator.approve(old.start())
    new_values = {
        "SECRET_KEY": "another secret key: 9876543210 abcd",
        "OPENROUTER_ENCRYPTION_KEY": encryption_key(),
    }
    replaced = "SECRET_KEY" if leaked == "both in one" else leaked
    new = Visitor(make_stored_app(**{**settings, replaced: new_values[replaced]}))
    for cookie in old.client._cookies.values():
        new.client.set_cookie(cookie.key, cookie.value)
    # A new SECRET_KEY ends sessions: users sign in again, and others are new visitors.
    assert new.key is None
    if replaced == "SECRET_KEY":
        assert new.get(callback_url).status_code == 400
        new.client.delete_cookie("session")
        sign_in(new)
        assert (new.key is not None) is (is_user and leaked == "SECRET_KEY")
    else:
        assert new.get(callback_url).status_code == 303
