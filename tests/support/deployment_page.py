"""The blocks of docs/deployment.md for the drills that run them, and an account of PostgreSQL.

::

    block("ini", "[Service]")                 # the code of the one block with these words
    with app_account(postgresql) as url:      # the account that the page and storage.md create
        ...
"""

from __future__ import annotations

import base64
import secrets
from collections.abc import Iterator
from contextlib import contextmanager

from doc_blocks import blocks
from servers import PostgreSQLServer


def block(language: str, words: str, page: str = "deployment") -> str:
    """Return the one block of a page that is in this language and contains these words."""
    (code,) = [b.code for b in blocks(language) if b.page.stem == page and words in b.code]
    return code


def environment(**values: str) -> dict[str, str]:
    """Return the page's variables with these values, without FLASK_, and with new secrets.

    Each value is as the page writes it: lists are JSON.
    """
    page = dict(line.split("=", 1) for line in block("text", "FLASK_SECRET_KEY=").splitlines())
    generated = {
        "FLASK_SECRET_KEY": secrets.token_hex(),
        "FLASK_OPENROUTER_ENCRYPTION_KEY": encryption_key(),
    }
    filled = {**page, **generated, **{f"FLASK_{name}": value for name, value in values.items()}}
    assert not any("…" in value for value in filled.values()), "a value of the page is missing"
    return filled


def encryption_key() -> str:
    """Return a new key in the form that ``flask openrouter generate-key`` prints."""
    return base64.urlsafe_b64encode(secrets.token_bytes(32)).decode()


def run_sql(server: PostgreSQLServer, code: str, database: str) -> None:
    """Run the statements of a block, one by one."""
    for statement in filter(str.strip, code.split(";")):
        server.execute(statement, database=database)


@contextmanager
def app_account(server: PostgreSQLServer) -> Iterator[str]:
    """Create a database, the table and the account ``app`` as documented; yield its URL."""
    owner_url = server.create_database()
    database = owner_url.rpartition("/")[2]
    password = secrets.token_hex()
    run_sql(server, block("sql", "CREATE ROLE").replace("…", password), database)
    table = block("python", "storage.create_table()", "storage")
    exec(table.replace("sqlite:///keys.db", owner_url), {})  # noqa: S102 - our documentation
    run_sql(server, block("sql", "GRANT", "storage"), database)
    try:
        yield f"postgresql+psycopg://app:{password}@127.0.0.1:{server.port}/{database}"
    finally:
        # A restored copy has the same grants.
        for (name,) in server.execute("SELECT datname FROM pg_database WHERE NOT datistemplate"):
            server.execute("DROP OWNED BY app", database=name)
        server.execute("DROP ROLE app")
