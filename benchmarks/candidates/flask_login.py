"""Flask-Login, as its documentation begins: a user loader, and ``@login_required``.

It signs users in and has no provider, so it has no login route and no callback to time. The key is
next to the user's id in Flask's session, signed but not encrypted.
"""

from __future__ import annotations

from flask import Flask, redirect, request, session
from flask_login import LoginManager, UserMixin, login_required, login_user
from werkzeug.wrappers import Response

from . import new_app

IMPORTS = "from flask_login import LoginManager, UserMixin, login_required, login_user"
LOGIN = None


class User(UserMixin):  # type: ignore[misc]
    """A user with an id only."""

    def __init__(self, user_id: str) -> None:
        self.id = user_id


def create_app(provider_url: str) -> Flask:
    """Return an app whose view needs a user. It never asks the provider."""
    app = new_app("flask_login_app")
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
