"""docs/coming-from.md: the names of its tables exist, and both logins run side by side."""

from __future__ import annotations

import base64
import hashlib
import importlib.util
import re
import secrets
from pathlib import Path
from urllib.parse import urlencode

import pytest
import requests
from components import require
from doc_blocks import ROOT
from flask import Flask, redirect, request, session, url_for
from polling import PATIENCE
from visitor import Visitor, fingerprint
from werkzeug.wrappers import Response

from flask_openrouter import OpenRouterAuth, signals
from flask_openrouter.connection import Connection
from flask_openrouter.emulator import Emulator
from flask_openrouter.testing import app_config

PAGE = ROOT / "docs" / "coming-from.md"
TEXT = PAGE.read_text(encoding="utf-8")


def app_with_a_login_of_its_own(emulator: Emulator) -> Flask:
    """Return an app before its move: it keeps the key in Flask's session."""
    app = Flask("own")
    app.config.update(app_config(emulator))

    @app.get("/login")
    def login() -> Response:
        session["code_verifier"] = secrets.token_urlsafe(32)
        digest = hashlib.sha256(session["code_verifier"].encode()).digest()
        query = {
            "callback_url": url_for("callback", _external=True),
            "code_challenge": base64.urlsafe_b64encode(digest).rstrip(b"=").decode(),
            "code_challenge_method": "S256",
        }
        return redirect(f"{emulator.url}/auth?{urlencode(query)}")

    @app.get("/callback")
    def callback() -> Response:
        exchange = {
            "code": request.args["code"],
            "code_verifier": session.pop("code_verifier"),
            "code_challenge_method": "S256",
        }
        reply = requests.post(f"{emulator.url}/api/v1/auth/keys", json=exchange, timeout=PATIENCE)
        session["api_key"] = reply.json()["key"]
        return redirect("/")

    @app.get("/")
    def home() -> str:
        return fingerprint(session["api_key"])

    return app


def need(package: str) -> None:
    if importlib.util.find_spec(package) is None:
        require(package, "not installed (pip install --group peers)")


def test_both_logins_run_side_by_side(emulator: Emulator) -> None:
    """An app can have both while it moves."""
    app = app_with_a_login_of_its_own(emulator)
    OpenRouterAuth(app)
    visitor = Visitor(app)
    visitor.get(emulator.approve(visitor.get("/login").location))
    own = visitor.get("/").text
    assert visitor.connect(emulator).status_code == 303
    assert visitor.get("/openrouter/status").json["connected"] is True  # type: ignore[index]
    assert visitor.get("/").text == own


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
