"""Bare Flask: a view that does nothing, which no view can beat.

It has a ``SECRET_KEY``, as every app with a login: with one, Flask looks for its session cookie in
every request, and that is Flask's cost and not the candidates'. The browser sends it no cookie.
"""

from __future__ import annotations

from flask import Flask

from . import SECRET_KEY

NAME = "bare"
IMPORTS = ""
LOGIN = None


def create_app(provider_url: str) -> Flask:
    """Return an app whose view needs no key. It never asks the provider."""
    app = Flask("bare")
    app.config["SECRET_KEY"] = SECRET_KEY

    @app.get("/guarded")
    def guarded() -> str:
        return "sk-or-v1-" + 64 * "0"

    return app
