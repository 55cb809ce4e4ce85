"""An app in the shape of the Flask Mega-Tutorial: factory, blueprints, forms, users in a database.

Flask-Login, Flask-SQLAlchemy, Flask-Migrate, Flask-WTF. Keys go into the app's own database.
"""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from flask import Blueprint, Flask, redirect, render_template_string, request, url_for
from flask_login import (
    LoginManager,
    UserMixin,
    current_user,
    login_required,
    login_user,
    logout_user,
)
from flask_migrate import Migrate
from flask_sqlalchemy import SQLAlchemy
from flask_wtf import FlaskForm
from sqlalchemy.orm import Mapped, mapped_column
from werkzeug.security import check_password_hash, generate_password_hash
from wtforms import PasswordField, StringField, SubmitField
from wtforms.validators import DataRequired

from flask_openrouter import OpenRouterAuth, current_openrouter, requires_openrouter_key  # added
from flask_openrouter.storage.sqlalchemy import SQLAlchemyStorage  # added

GUARDED = "/explain"
SIGN_IN = "/auth/login"
SIGN_OUT = "/auth/logout"

db = SQLAlchemy()
migrate = Migrate()
login = LoginManager()
login.login_view = "auth.sign_in"
openrouter = OpenRouterAuth(storage=SQLAlchemyStorage(db))  # added


class User(UserMixin, db.Model):  # type: ignore[name-defined]
    id: Mapped[int] = mapped_column(primary_key=True)
    username: Mapped[str] = mapped_column(sa.String(64), index=True, unique=True)
    password_hash: Mapped[str] = mapped_column(sa.String(256))


@login.user_loader
def load_user(id: str) -> User | None:
    return db.session.get(User, int(id))


class LoginForm(FlaskForm):
    username = StringField("Username", validators=[DataRequired()])
    password = PasswordField("Password", validators=[DataRequired()])
    submit = SubmitField("Sign In")


errors = Blueprint("errors", __name__)
auth = Blueprint("auth", __name__)
main = Blueprint("main", __name__)


@errors.app_errorhandler(404)
def not_found(_: Exception) -> Any:
    return "File Not Found", 404


@errors.app_errorhandler(500)
def internal_error(_: Exception) -> Any:
    db.session.rollback()
    return "An unexpected error has occurred", 500


@auth.route("/login", methods=["GET", "POST"])
def sign_in() -> Any:
    form = LoginForm()
    if form.validate_on_submit():
        user = db.session.scalar(sa.select(User).where(User.username == form.username.data))
        if user is None or not check_password_hash(user.password_hash, form.password.data):
            return redirect(url_for("auth.sign_in"))
        login_user(user)
        return redirect(request.args.get("next") or url_for("main.index"))
    return render_template_string("<form method=post>{{ form.hidden_tag() }}</form>", form=form)


@auth.route("/logout")
def sign_out() -> Any:
    logout_user()
    return redirect(url_for("main.index"))


@main.route("/")
def index() -> str:
    return "Home"


@main.route("/explain")
@login_required
@requires_openrouter_key  # added
def explain() -> str:
    key = current_openrouter.key_info()  # added
    return f"{current_user.username}: {key.label}"


def create_app(config: dict[str, Any]) -> Flask:
    app = Flask(__name__)
    app.config.from_mapping(SQLALCHEMY_DATABASE_URI="sqlite://", **config)
    db.init_app(app)
    migrate.init_app(app, db)
    login.init_app(app)
    openrouter.init_app(app)  # added
    app.register_blueprint(errors)
    app.register_blueprint(auth, url_prefix="/auth")
    app.register_blueprint(main)
    return app


def add_users(app: Flask, names: list[str], password: str) -> None:
    with app.app_context():
        db.create_all()
        hashed = generate_password_hash(password, "pbkdf2:sha256:1")
        db.session.add_all(User(username=name, password_hash=hashed) for name in names)
        db.session.commit()
