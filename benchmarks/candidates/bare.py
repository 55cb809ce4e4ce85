"""Bare Flask: a view that does nothing, which no other view can beat.

It has a ``SECRET_KEY``, like every app with a login. With one, Flask looks for its session cookie
in every request. That is Flask's cost and not the candidates'. The browser sends it no cookie.
"""

from __future__ import annotations

from flask import Flask

from . import GUARDED, new_app

IMPORTS = ""
LOGIN = None


def create_app(provider_url: str) -> Flask:
    """Return an app whose view needs no key. It never asks the provider."""
    app = new_app("bare")
    app.add_url_rule(GUARDED, "guarded", app.view_functions["open"])
    return app
