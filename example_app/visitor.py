"""Whose conversations these are: nobody signs in here, so it is this browser with this account."""

from __future__ import annotations

import hashlib
import secrets

from flask import session

from flask_openrouter import current_openrouter


def owner_id() -> str:
    """Return the owner of this visitor's rows, for a visitor who is connected.

    It takes both: 128 random bits in this browser's signed session, and the account at OpenRouter
    (or, where OpenRouter does not name it, the key). So nobody guesses an owner, the next person
    to connect in the same browser finds nothing of the last one, and who connects again after a
    key was deleted finds everything. A hash, so that a copy of the file is no way into a session.
    """
    browser = session.get("browser")
    if not isinstance(browser, str):
        browser = session["browser"] = secrets.token_urlsafe(16)
        session.permanent = True
    # Flask-OpenRouter: who approved the key. None for some accounts, hence the other one.
    account = current_openrouter.openrouter_user_id or current_openrouter.key_hash
    return hashlib.sha256(f"{browser}\n{account}".encode()).hexdigest()
