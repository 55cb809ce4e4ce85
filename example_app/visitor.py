"""How to know visitors without a sign-in: whose data it is, and the models of late."""

import hashlib
import secrets

from flask import session

from flask_openrouter import current_openrouter

from .database import get_database
from .history import History


def account_id() -> str:
    """Return the account that pays: one person can log in often, and gets a key each time."""
    # Flask-OpenRouter: the account that approved the key. It can be None, hence the alternative.
    return current_openrouter.openrouter_user_id or current_openrouter.key_hash


def owner_id() -> str:
    """Return the owner id of a connected visitor.

    It combines 128 random bits in this browser's signed session with the OpenRouter account. So it
    cannot be guessed, the next person in the same browser finds nothing of the last one, and a
    visitor who connects again with a new key finds everything. It is a hash, so that a copy of the
    file does not reveal session data.
    """
    browser = session.get("browser")
    if not isinstance(browser, str):
        browser = session["browser"] = secrets.token_urlsafe(16)
        session.permanent = True
    return hashlib.sha256(f"{browser}\n{account_id()}".encode()).hexdigest()


def own_history() -> History:
    """Return the conversations of the connected visitor."""
    return History(get_database(), owner_id())


def recent_models() -> list[str]:
    """Return the ids of the models used or chosen last, the latest first."""
    return list(session.get("models", []))


def remember_model(model_id: str) -> None:
    """Put a model first among the recent ones."""
    others = [model for model in recent_models() if model != model_id]
    session["models"] = [model_id, *others][:5]
