"""Settings: these defaults, then the environment, then what the caller of ``create_app`` says."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from pathlib import Path

from flask import Flask


def configure(app: Flask, config: Mapping[str, object]) -> None:
    """Fill ``app.config``. In the environment every name begins with ``FLASK_``.

    ``SECRET_KEY`` has no default: without it the app refuses to start, since a default would let
    everybody read everybody's session. Where keys are kept is ``OPENROUTER_STORAGE_URI``: by
    default each visitor's own encrypted cookie.
    """
    app.config.from_mapping(
        # The file for conversations. One file serves several workers; not several machines.
        CHAT_DATABASE=str(Path(app.instance_path) / "chat.db"),
        # Days after which a conversation in which nobody wrote is deleted.
        CHAT_KEEP_DAYS=90,
        # How many proxies stand before the app. Too many, and visitors can forge addresses.
        CHAT_PROXIES=0,
        # Far above a question of the greatest length.
        MAX_CONTENT_LENGTH=128 * 1024,
        SESSION_COOKIE_SAMESITE="Lax",
        PERMANENT_SESSION_LIFETIME=timedelta(days=90),
        # Otherwise a slow answer would send an old session back and undo what happened since.
        SESSION_REFRESH_EACH_REQUEST=False,
        # Flask-OpenRouter: how this app appears at OpenRouter, and in the visitor's list of keys.
        OPENROUTER_APP_TITLE="Flask-OpenRouter Chat",
        OPENROUTER_KEY_LABEL="Flask-OpenRouter Chat",
        # A visitor who tries the example should not be able to spend much by accident (USD).
        OPENROUTER_KEY_LIMIT=5,
        # Ours says the same as the extension's page, and what happens to the conversations.
        OPENROUTER_DISCONNECT_REDIRECT_URL="/disconnected",
    )
    app.config.from_prefixed_env()
    app.config.from_mapping(config)
