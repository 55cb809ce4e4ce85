"""An app in the shape of Flask-AppBuilder's skeleton: views are methods of classes."""

from __future__ import annotations

from typing import Any

from flask import Flask
from flask_appbuilder import AppBuilder, BaseView, expose, has_access
from flask_login import current_user
from flask_sqlalchemy import SQLAlchemy

from flask_openrouter import OpenRouterAuth, current_openrouter, requires_openrouter_key  # added

GUARDED = "/assistant/ask"
SIGN_IN = "/login/"
SIGN_OUT = "/logout/"


class Assistant(BaseView):
    default_view = "ask"

    @expose("/ask")
    @has_access
    @requires_openrouter_key  # added
    def ask(self) -> str:
        key = current_openrouter.key_info()  # added
        return f"{current_user.username}: {key.label}"


def create_app(config: dict[str, Any]) -> Flask:
    app = Flask(__name__)
    app.config.from_mapping(SQLALCHEMY_DATABASE_URI="sqlite://", **config)
    db = SQLAlchemy(app)
    with app.app_context():
        appbuilder = AppBuilder(app, db.session)
        appbuilder.add_view(Assistant, "Ask")
        OpenRouterAuth(app)  # added
    return app


def add_users(app: Flask, names: list[str], password: str) -> None:
    with app.app_context():
        manager = app.appbuilder.sm  # type: ignore[attr-defined]
        role = manager.find_role("Admin")
        for name in names:
            assert manager.add_user(name, name, name, f"{name}@example.com", role, password)
