"""An app in the shape of Flask's tutorial: factory, sqlite3, a session of its own."""

from __future__ import annotations

import functools
import sqlite3
from collections.abc import Callable
from typing import Any

from flask import Blueprint, Flask, current_app, g, redirect, request, session, url_for
from werkzeug.security import check_password_hash, generate_password_hash

from flask_openrouter import OpenRouterAuth, current_openrouter, requires_openrouter_key  # added

GUARDED = "/summary"
SIGN_IN = "/auth/login"
SIGN_OUT = "/auth/logout"

auth = Blueprint("auth", __name__, url_prefix="/auth")
blog = Blueprint("blog", __name__)
openrouter = OpenRouterAuth()  # added


def get_db() -> sqlite3.Connection:
    if "db" not in g:
        g.db = sqlite3.connect(current_app.config["DATABASE"])
        g.db.row_factory = sqlite3.Row
    return g.db  # type: ignore[no-any-return]


def close_db(_: BaseException | None = None) -> None:
    if (db := g.pop("db", None)) is not None:
        db.close()


@auth.before_app_request
def load_logged_in_user() -> None:
    user_id = session.get("user_id")
    rows = get_db().execute("SELECT * FROM user WHERE id = ?", (user_id,))
    g.user = rows.fetchone() if user_id else None


@openrouter.owner_loader  # added
def owner() -> str | None:  # added
    return str(g.user["id"]) if g.user else None  # added


def login_required(view: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(view)
    def wrapped_view(**kwargs: Any) -> Any:
        if g.user is None:
            return redirect(url_for("auth.login"))
        return view(**kwargs)

    return wrapped_view


@auth.route("/login", methods=("GET", "POST"))
def login() -> Any:
    if request.method == "POST":
        rows = get_db().execute("SELECT * FROM user WHERE name = ?", (request.form["username"],))
        user = rows.fetchone()
        if user and check_password_hash(user["password"], request.form["password"]):
            session.clear()
            session["user_id"] = user["id"]
            return redirect(url_for("index"))
    return "<form method=post></form>"


@auth.route("/logout")
def logout() -> Any:
    session.clear()
    return redirect(url_for("index"))


@blog.route("/")
def index() -> str:
    return "Posts"


@blog.route("/summary")
@login_required
@requires_openrouter_key  # added
def summary() -> str:
    key = current_openrouter.key_info()  # added
    return f"{g.user['name']}: {key.label}"


def create_app(config: dict[str, Any]) -> Flask:
    app = Flask(__name__)
    app.config.from_mapping(config)
    app.config["DATABASE"] = f"{config['FOLDER']}/flaskr.sqlite"
    app.teardown_appcontext(close_db)
    app.register_blueprint(auth)
    app.register_blueprint(blog)
    app.add_url_rule("/", endpoint="index")
    openrouter.init_app(app)  # added
    return app


def add_users(app: Flask, names: list[str], password: str) -> None:
    with app.app_context():
        get_db().execute("CREATE TABLE user (id INTEGER PRIMARY KEY, name TEXT, password TEXT)")
        hashed = generate_password_hash(password, "pbkdf2:sha256:1")
        rows = [(name, hashed) for name in names]
        get_db().executemany("INSERT INTO user (name, password) VALUES (?, ?)", rows)
        get_db().commit()
