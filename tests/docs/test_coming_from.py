"""docs/coming-from.md: the code before and after the change logs a visitor in at the emulator."""

from __future__ import annotations

import importlib.util
import re
from pathlib import Path
from typing import Any

import pytest
from components import require
from doc_blocks import ROOT, blocks
from flask import Flask
from visitor import Visitor

from flask_openrouter import OpenRouterAuth, signals
from flask_openrouter.connection import Connection
from flask_openrouter.emulator import Emulator

PAGE = ROOT / "docs" / "coming-from.md"
TEXT = PAGE.read_text(encoding="utf-8")
#: The blocks that make an app, in the order of the page.
BEFORE_OWN, AFTER = (
    block.code
    for block in blocks("python")
    if block.page == PAGE and "Flask(__name__)" in block.code
)


def load(code: str, emulator: Emulator) -> Flask:
    """Run a block, with the emulator as OpenRouter, and return its app."""
    code = code.replace("https://openrouter.ai", emulator.url)
    marker = "app = Flask(__name__)\n"
    assert marker in code
    config = f'app.config.update(TESTING=True, OPENROUTER_BASE_URL="{emulator.url}")\n'
    namespace: dict[str, Any] = {"__name__": "coming_from"}
    exec(code.replace(marker, marker + config), namespace)  # noqa: S102 - our own documentation
    app: Flask = namespace["app"]
    return app


def need(package: str) -> None:
    if importlib.util.find_spec(package) is None:
        require(package, "not installed (pip install --group peers)")


def connect(visitor: Visitor, emulator: Emulator) -> Any:
    """Follow the redirects, approve the consent, and return the JSON of the view."""
    answer = visitor.get("/")
    for _ in range(6):
        if answer.status_code == 200:
            return answer.json
        location = answer.location
        if location.startswith(emulator.url):
            location = emulator.approve(location)
        answer = visitor.get(location)
    raise AssertionError(answer.status)


@pytest.mark.parametrize("code", [BEFORE_OWN, AFTER], ids=["before", "after"])
def test_a_visitor_is_connected_and_asked_once(code: str, emulator: Emulator) -> None:
    visitor = Visitor(load(code, emulator))
    assert connect(visitor, emulator) == {"left": None}
    assert visitor.get("/").status_code == 200
    (exchange,) = [r for r in emulator.requests if r.path == "/api/v1/auth/keys"]
    assert exchange.status == 200
    assert "code_verifier" in exchange.body
    (consent,) = [r for r in emulator.requests if r.path == "/auth" and r.method == "GET"]
    assert consent.query["code_challenge_method"] == "S256"


def test_both_logins_run_side_by_side(emulator: Emulator) -> None:
    """An app can have both while it changes."""
    app = load(BEFORE_OWN, emulator)
    OpenRouterAuth(app)
    visitor = Visitor(app)
    connect(visitor, emulator)
    assert visitor.connect(emulator).status_code == 303
    assert visitor.get("/openrouter/status").json["connected"] is True  # type: ignore[index]
    assert visitor.get("/").status_code == 200


# -- what the tables name ---------------------------------------------------------------------


def _section(title: str) -> str:
    return TEXT.partition(f"\n## {title}\n")[2].partition("\n## ")[0]


def test_the_package_has_what_the_tables_name() -> None:
    for name in set(re.findall(r"`(?:if )?current_openrouter\.(\w+)", TEXT)):
        assert hasattr(Connection, name), name
    for name in re.findall(r"@auth\.(\w+)", TEXT):
        assert callable(getattr(OpenRouterAuth, name))
    (row,) = (line for line in TEXT.splitlines() if line.startswith("| `oauth_authorized`"))
    for name in re.findall(r"`(\w+)`", row.split("|")[2]):
        assert hasattr(signals, name), name


@pytest.mark.parametrize(
    ("title", "path", "names"),
    [
        (
            "Authlib",
            "authlib.integrations.flask_client.apps.FlaskOAuth2App",
            ["authorize_redirect", "authorize_access_token", "get"],
        ),
        (
            "Flask-Dance",
            "flask_dance.consumer.oauth2.OAuth2ConsumerBlueprint",
            ["session", "login", "authorized"],
        ),
        (
            "Flask-Dance",
            "flask_dance.consumer.requests.OAuth2Session",
            ["authorized", "authorization_required"],
        ),
        ("Flask-Dance", "flask_dance.consumer", ["oauth_authorized", "oauth_error"]),
        ("Flask-Dance", "flask_dance.consumer.storage.session.SessionStorage", []),
    ],
)
def test_the_other_packages_have_what_the_tables_name(
    title: str, path: str, names: list[str]
) -> None:
    need(path.partition(".")[0])
    module, _, attribute = path.rpartition(".")
    found = importlib.import_module(path if attribute.islower() else module)
    found = found if attribute.islower() else getattr(found, attribute)
    for name in names:
        assert hasattr(found, name), name
        assert name in _section(title), name


def test_the_storage_of_flask_dance_has_the_arguments_of_the_table() -> None:
    """Read, not imported: it needs Flask-SQLAlchemy."""
    need("flask_dance")
    spec = importlib.util.find_spec("flask_dance.consumer.storage")
    assert spec is not None
    assert spec.origin is not None
    source = Path(spec.origin).with_name("sqla.py").read_text(encoding="utf-8")
    assert "class SQLAlchemyStorage" in source
    assert re.search(r"def __init__\(\s*self,\s*model,\s*session,\s*user=None", source)
    assert "`SQLAlchemyStorage(OAuth, db.session, user=current_user)`" in TEXT
