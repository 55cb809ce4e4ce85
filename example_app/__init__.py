"""The example app: a chat in which every visitor pays with their own OpenRouter key.

``make demo`` runs it against the bundled emulator, ``make demo LIVE=1`` against OpenRouter.
"""

from __future__ import annotations

from collections.abc import Mapping

from flask import Flask, Response

from flask_openrouter import OpenRouterAuth

from . import chat

#: Nothing but this app's own files: no inline code, no foreign address, no frame.
CONTENT_SECURITY_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; "
    "form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)

auth = OpenRouterAuth()


def create_app(config: Mapping[str, object] | None = None) -> Flask:
    """Build the app.

    Settings come from the environment, prefixed with ``FLASK_`` (``FLASK_SECRET_KEY``,
    ``FLASK_OPENROUTER_STORAGE_URI``, ...), then from ``config``, which wins. ``SECRET_KEY`` has no
    default.

    Raises :class:`flask_openrouter.errors.ConfigurationError` when a setting is missing or wrong.
    """
    app = Flask(__name__)
    app.config.from_mapping(
        # Far above a full conversation; see conversation.py.
        MAX_CONTENT_LENGTH=512 * 1024,
        SESSION_COOKIE_SAMESITE="Lax",
        OPENROUTER_APP_TITLE="Flask-OpenRouter Chat",
        OPENROUTER_KEY_LABEL="Flask-OpenRouter Chat",
        # A visitor who tries the example should not be able to spend much by accident (USD).
        OPENROUTER_KEY_LIMIT=5,
    )
    app.config.from_prefixed_env()
    app.config.from_mapping(config or {})
    auth.init_app(app)
    app.register_blueprint(chat.bp)
    app.after_request(_harden)
    return app


def _harden(response: Response) -> Response:
    # setdefault: the extension's own pages bring stricter headers, which stay.
    headers = response.headers
    headers.setdefault("Content-Security-Policy", CONTENT_SECURITY_POLICY)
    headers.setdefault("X-Content-Type-Options", "nosniff")
    headers.setdefault("X-Frame-Options", "DENY")
    headers.setdefault("Referrer-Policy", "same-origin")
    if response.mimetype == "text/html":
        # The Back button must not show a connected page after a disconnect.
        headers.setdefault("Cache-Control", "no-store")
    return response
