"""How to configure the app: these defaults, then the environment, then ``create_app``."""

from collections.abc import Mapping
from datetime import timedelta
from pathlib import Path

from flask import Flask


def configure(app: Flask, config: Mapping[str, object]) -> None:
    """Fill ``app.config``. In the environment every name begins with ``FLASK_``.

    ``SECRET_KEY`` has no default, because a published default would let anyone forge sessions.
    Without it the app refuses to start. ``OPENROUTER_STORAGE_URI`` names the storage for keys, by
    default each visitor's own encrypted cookie.
    """
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
    app.config.from_mapping(config)
    if app.config["CHAT_PROXIES"]:
        # Over https, no other host can set a cookie with this prefix, and so no other session.
        app.config.from_mapping(SESSION_COOKIE_NAME="__Host-session", SESSION_COOKIE_SECURE=True)
