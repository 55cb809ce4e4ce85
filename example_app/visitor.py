"""How to know visitors without a sign-in: whose data it is, and which model they chose."""

from __future__ import annotations

import hashlib
import secrets
import sqlite3
import time

from flask import session

from flask_openrouter import current_openrouter


def owner_id() -> str:
    """Return the owner id of a connected visitor.

    The app has no sign-in. The id combines 128 random bits in this browser's signed session with
    the OpenRouter account (or the key, if OpenRouter does not name the account). So ids cannot be
    guessed, the next person in the same browser finds nothing of the last one, and a visitor who
    connects again with a new key finds everything. The id is a hash, so that a copy of the file
    does not reveal session data.
    """
    browser = session.get("browser")
    if not isinstance(browser, str):
        browser = session["browser"] = secrets.token_urlsafe(16)
        session.permanent = True
    # Flask-OpenRouter: the account that approved the key. It can be None, hence the alternative.
    account = current_openrouter.openrouter_user_id or current_openrouter.key_hash
    return hashlib.sha256(f"{browser}\n{account}".encode()).hexdigest()


def chosen_model(db: sqlite3.Connection, owner: str) -> tuple[str, str] | None:
    """Return the id and name of the last chosen model, or None."""
    row = db.execute(
        "SELECT model, model_name FROM preference WHERE owner = ?", (owner,)
    ).fetchone()
    return None if row is None else (row["model"], row["model_name"])


def choose_model(db: sqlite3.Connection, owner: str, model: str, name: str) -> None:
    """Remember the model for new conversations."""
    db.execute(
        "INSERT INTO preference VALUES (?, ?, ?, ?) ON CONFLICT (owner) DO UPDATE"
        " SET model = excluded.model, model_name = excluded.model_name,"
        " touched_at = excluded.touched_at",
        (owner, model, name, time.time()),
    )


def recent_models(db: sqlite3.Connection, owner: str) -> list[str]:
    """Return the ids of the models used or chosen last, the latest first."""
    rows = db.execute(
        "SELECT model FROM (SELECT model, spent_at AS at FROM spending WHERE owner = :owner"
        " UNION ALL SELECT model, touched_at FROM preference WHERE owner = :owner)"
        " GROUP BY model ORDER BY max(at) DESC LIMIT 5",
        {"owner": owner},
    )
    return [row["model"] for row in rows]
