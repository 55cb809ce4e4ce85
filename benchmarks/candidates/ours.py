"""Flask-OpenRouter, as its README begins: the key in its own encrypted cookie."""

from __future__ import annotations

import logging

from flask import Flask

from flask_openrouter import OpenRouterAuth, current_openrouter, requires_openrouter_key

from . import SECRET_KEY

NAME = "ours"
IMPORTS = "from flask_openrouter import OpenRouterAuth, current_openrouter, requires_openrouter_key"
LOGIN = "/openrouter/login"


def create_app(provider_url: str) -> Flask:
    """Return an app with the extension and one guarded view."""
    app = Flask("ours")
    app.config["SECRET_KEY"] = SECRET_KEY
    app.config["OPENROUTER_BASE_URL"] = provider_url
    # Allows a provider over plain http on this machine; changes nothing else.
    app.config["OPENROUTER_EMULATOR"] = provider_url.startswith("http:")
    # The landing of all candidates.
    app.config["OPENROUTER_LOGIN_REDIRECT_URL"] = "/guarded"
    # It says once that the host is the request's: so it is here for all of them.
    logging.getLogger("flask_openrouter").setLevel(logging.ERROR)
    OpenRouterAuth(app)

    @app.get("/guarded")
    @requires_openrouter_key
    def guarded() -> str:
        return current_openrouter.api_key

    @app.get("/spend")
    @requires_openrouter_key
    def spend() -> str:
        seen: str = current_openrouter.session.get("key").json()["key"]
        return seen

    return app
