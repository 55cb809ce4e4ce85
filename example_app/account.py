"""The visitor's key and data: what the app holds, and how to get rid of it."""

from __future__ import annotations

from flask import Blueprint, current_app, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from werkzeug import Response

from flask_openrouter import current_openrouter, requires_openrouter_key

from .database import get_database
from .history import History
from .pages import welcome
from .visitor import owner_id

bp = Blueprint("account", __name__, url_prefix="/account")


@bp.get("")
@requires_openrouter_key(on_missing=welcome)
def index() -> str:
    """The key, masked, with its pages at OpenRouter; what disconnecting does and does not do."""
    return render_template(
        "account.html",
        key_limit=current_app.config.get("OPENROUTER_KEY_LIMIT"),
        keep_days=current_app.config["CHAT_KEEP_DAYS"],
    )


@bp.post("/delete")
@requires_openrouter_key
def delete() -> ResponseReturnValue:
    """Delete every conversation and amount of this visitor."""
    History(get_database(), owner_id()).delete_all()
    return _without_drafts(redirect(url_for("pages.index"), 303))


@bp.post("/disconnect")
@requires_openrouter_key
def disconnect() -> ResponseReturnValue:
    """Forget the key, and with the form field ``delete`` everything else as well.

    The extension has a route and a button for this, openrouter_disconnect_button(). Ours has one
    thing more to do, in the right order: without the key nobody knows whose conversations to take.
    """
    deleted = "1" if request.form.get("delete") else None
    if deleted:
        History(get_database(), owner_id()).delete_all()
    # Flask-OpenRouter: apps cannot delete a key at OpenRouter. Its owner can, on this page of it.
    key_hash = current_openrouter.key_hash
    current_openrouter.disconnect()
    farewell = url_for("pages.disconnected", key=key_hash, deleted=deleted)
    return _without_drafts(redirect(farewell, 303))


def _without_drafts(answer: Response) -> Response:
    # What was typed and not sent lies in the browser: the next person there shall not find it.
    answer.headers["Clear-Site-Data"] = '"storage"'
    return answer
