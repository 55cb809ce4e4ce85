"""How to set up the extension: a chat in which every visitor pays with their own key.

``make demo`` runs it against the bundled emulator, ``make demo LIVE=1`` against OpenRouter. Start
reading here and continue with ``chat.py``. Comments that begin with "Flask-OpenRouter:" explain the
use of the extension.
"""

from collections.abc import Mapping

from flask import Flask
from werkzeug.middleware.proxy_fix import ProxyFix

from flask_openrouter import OpenRouterAuth

from . import account, chat, conversations, database, models, pages, security, trial, usage
from .settings import configure
from .streams import Streams

# Flask-OpenRouter: one object for all apps. init_app below sets it up for each app.
auth = OpenRouterAuth()
auth.fallback_key(trial.free_key)


def create_app(config: Mapping[str, object] | None = None) -> Flask:
    """Create the app. ``config`` overrides the environment; for the settings see ``settings.py``.

    Raises :class:`flask_openrouter.errors.ConfigurationError` when a setting is missing or wrong.
    """
    app = Flask(__name__)
    configure(app, config or {})
    if proxies := app.config["CHAT_PROXIES"]:
        # A proxy that handles https passes on the client's address, the scheme and the host.
        app.wsgi_app = ProxyFix(  # type: ignore[method-assign]
            app.wsgi_app, x_for=proxies, x_proto=proxies, x_host=proxies
        )
    # Flask-OpenRouter: adds the routes /openrouter/login, /callback, /disconnect and others, and
    # gives every template current_openrouter, openrouter_button() and more.
    auth.init_app(app)
    security.init_app(app)
    database.init_app(app)
    app.extensions["streams"] = Streams()
    pages.init_app(app)
    trial.init_app(app)
    for subject in (pages, chat, conversations, models, usage, account, trial):
        app.register_blueprint(subject.bp)
    return app
