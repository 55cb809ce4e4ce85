"""How to set up the extension: a chat in which every visitor pays with their own key.

``make demo`` runs it against the bundled emulator, ``make demo LIVE=1`` against OpenRouter.
Comments that begin with "Flask-OpenRouter:" explain the use of the extension.
"""

from collections.abc import Mapping
from datetime import timedelta
from pathlib import Path

from flask import Flask
from werkzeug.middleware.proxy_fix import ProxyFix

from flask_openrouter import OpenRouterAuth

from . import account, chat, conversations, database, models, pages, security, trial, usage

# Flask-OpenRouter: one object for all apps. init_app below sets it up for each app.
auth = OpenRouterAuth()
auth.fallback_key(trial.free_key)


def create_app(config: Mapping[str, object] | None = None) -> Flask:
    """Create the app. Settings are these, then the environment (``FLASK_…``), then ``config``.

    Raises :class:`flask_openrouter.errors.ConfigurationError` when one is missing or wrong.
    """
    app = Flask(__name__)
    app.config.from_mapping(
        # The file for conversations. Several workers can share it, but not several machines.
        CHAT_DATABASE=str(Path(app.instance_path) / "chat.db"),
        # Days after which an unused conversation is deleted.
        CHAT_KEEP_DAYS=90,
        # An OpenRouter key of your own for visitors who have not connected, and their questions a
        # day. Give it a spending limit at OpenRouter.
        CHAT_FREE_KEY=None,
        CHAT_FREE_QUESTIONS=3,
        # Proxies in front of the app, for https. With too many, visitors can forge addresses.
        CHAT_PROXIES=0,
        # Far more than the longest question, in bytes.
        MAX_CONTENT_LENGTH=1024 * 1024,
        SESSION_COOKIE_SAMESITE="Lax",
        PERMANENT_SESSION_LIFETIME=timedelta(days=90),
        # Otherwise a slow response could send an old session and undo later changes.
        SESSION_REFRESH_EACH_REQUEST=False,
        # Flask-OpenRouter: the app's name at OpenRouter and in the visitor's list of keys.
        OPENROUTER_APP_TITLE="Flask-OpenRouter Chat",
        OPENROUTER_KEY_LABEL="Flask-OpenRouter Chat",
        # In USD, so that a visitor who tries the example cannot spend much by accident.
        OPENROUTER_KEY_LIMIT=5,
        # The app's own page also tells what happens to the conversations.
        OPENROUTER_DISCONNECT_REDIRECT_URL="/disconnected",
        # That of the app's own pages.
        OPENROUTER_LANGUAGE="en",
    )
    app.config.from_prefixed_env()
    app.config.from_mapping(config or {})
    if proxies := app.config["CHAT_PROXIES"]:
        # A proxy that handles https passes on the client's address, the scheme and the host.
        app.wsgi_app = ProxyFix(  # type: ignore[method-assign]
            app.wsgi_app, x_for=proxies, x_proto=proxies, x_host=proxies
        )
        # Over https, no other host can set a cookie with this prefix, and so no other session.
        app.config.from_mapping(SESSION_COOKIE_NAME="__Host-session", SESSION_COOKIE_SECURE=True)
    # Flask-OpenRouter: adds the routes /openrouter/login, /callback, /disconnect and others, and
    # gives every template current_openrouter, openrouter_button() and more. SECRET_KEY has no
    # default: without it this refuses to start. Keys are in each visitor's own encrypted cookie.
    auth.init_app(app)
    for part in (security, database, pages):
        part.init_app(app)
    for part in (pages, chat, conversations, models, usage, account, trial):
        app.register_blueprint(part.bp)
    return app
