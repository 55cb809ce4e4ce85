"""Flask-OpenRouter, as in the first example of its README: the key in its own encrypted cookie."""

from __future__ import annotations

import logging

from flask import Flask

from flask_openrouter import OpenRouterAuth, current_openrouter, requires_openrouter_key
from flask_openrouter.storage import KeyStorage

from . import new_app

IMPORTS = "from flask_openrouter import OpenRouterAuth, current_openrouter, requires_openrouter_key"
LOGIN = "/openrouter/login"


def create_app(provider_url: str, storage: KeyStorage | None = None) -> Flask:
    """Return an app with the extension and a guarded view."""
    app = new_app("ours")
    app.config["OPENROUTER_BASE_URL"] = provider_url
    # All candidates end the login at this view.
    app.config["OPENROUTER_LOGIN_REDIRECT_URL"] = "/guarded"
    # The extension warns once that it takes the host from the request. All candidates do.
    logging.getLogger("flask_openrouter").setLevel(logging.ERROR)
    OpenRouterAuth(app, storage=storage)

    @app.get("/guarded")
    @requires_openrouter_key
    def guarded() -> str:
        return current_openrouter.api_key

    return app
