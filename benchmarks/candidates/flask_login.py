"""Flask-Login, as its documentation begins: a user loader, and ``@login_required``.

It signs users in and knows no provider, so there is no login route and no callback to time. The
key lies beside the user's id in Flask's session, signed but not encrypted.
"""

from __future__ import annotations

from flask import Flask, redirect, request, session
from flask_login import LoginManager, UserMixin, login_required, login_user
from werkzeug.wrappers import Response

from . import SECRET_KEY

NAME = "Flask-Login"
IMPORTS = "from flask_login import LoginManager, UserMixin, login_required, login_user"
LOGIN = None


class User(UserMixin):  # type: ignore[misc]
    """A user with an id and nothing else."""

    def __init__(self, user_id: str) -> None:
        self.id = user_id


def create_app(provider_url: str) -> Flask:
    """Return an app whose view needs a user. It never asks the provider."""
    app = Flask("flask_login_app")
    app.config["SECRET_KEY"] = SECRET_KEY
    manager = LoginManager(app)
    manager.login_view = "sign_in"
    manager.user_loader(User)

    @app.get("/sign-in")
    def sign_in() -> Response:
        login_user(User("1"))
        session["key"] = request.args["key"]
        return redirect("/guarded")

    @app.get("/guarded")
    @login_required  # type: ignore[untyped-decorator]
    def guarded() -> str:
        key: str = session["key"]
        return key

    return app
