"""An app in the shape of Flask-Security's quick start."""

from __future__ import annotations

from typing import Any

from flask import Flask
from flask_security import (
    Security,
    SQLAlchemyUserDatastore,
    auth_required,
    current_user,
    hash_password,
)
from flask_security.models import fsqla_v3
from flask_sqlalchemy import SQLAlchemy

from flask_openrouter import OpenRouterAuth, current_openrouter, requires_openrouter_key  # added

GUARDED = "/"
SIGN_IN = "/login"
SIGN_OUT = "/logout"


def create_app(config: dict[str, Any]) -> Flask:
    app = Flask(__name__)
    app.config.from_mapping(
        SECURITY_PASSWORD_SALT="146585145368132386173505678016728509634",
        SQLALCHEMY_DATABASE_URI="sqlite://",
        SECURITY_PASSWORD_HASH="pbkdf2_sha256",
        SECURITY_PASSWORD_SCHEMES=["pbkdf2_sha256"],
        **config,
    )
    db = SQLAlchemy(app)
    fsqla_v3.FsModels.set_db_info(db)

    class Role(db.Model, fsqla_v3.FsRoleMixin):  # type: ignore[name-defined]
        pass

    class User(db.Model, fsqla_v3.FsUserMixin):  # type: ignore[name-defined]
        pass

    app.security = Security(app, SQLAlchemyUserDatastore(db, User, Role))  # type: ignore[attr-defined]
    OpenRouterAuth(app)  # added

    @app.route("/")
    @auth_required()
    @requires_openrouter_key  # added
    def home() -> str:
        key = current_openrouter.key_info()  # added
        return f"{current_user.email}: {key.label}"

    return app


def add_users(app: Flask, names: list[str], password: str) -> None:
    with app.app_context():
        app.extensions["sqlalchemy"].create_all()
        datastore = app.security.datastore  # type: ignore[attr-defined]
        for name in names:
            datastore.create_user(email=f"{name}@example.com", password=hash_password(password))
        datastore.db.session.commit()
