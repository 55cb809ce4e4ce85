"""How to disconnect and to delete. Answers under way notice it soon, and write nothing more."""

from flask import Blueprint, redirect, render_template, request, session, url_for
from flask.typing import ResponseReturnValue
from werkzeug import Response

from flask_openrouter import current_openrouter, requires_openrouter_key

from .draft import stop_drafts
from .pages import welcome
from .visitor import own_history

bp = Blueprint("account", __name__, url_prefix="/account")


@bp.get("")
@requires_openrouter_key(on_missing=welcome)
def index() -> str:
    """Show the masked key, its pages at OpenRouter, and the effects of disconnecting."""
    return render_template("account.html")


@bp.post("/delete")
@requires_openrouter_key
def delete() -> ResponseReturnValue:
    """Delete all conversations and amounts of this visitor."""
    own_history().delete_all()
    return _without_drafts(redirect(url_for("pages.index"), 303))


@bp.post("/disconnect")
@requires_openrouter_key
def disconnect() -> ResponseReturnValue:
    """Forget the key, and with the form field ``delete`` everything else, too.

    The extension has a route and a button for disconnecting, openrouter_disconnect_button(). This
    view also deletes conversations. It does so first, because the key identifies their owner.
    """
    history = own_history()
    stop_drafts(history)
    if deleted := request.form.get("delete"):
        history.delete_all()
    # Flask-OpenRouter: an app cannot delete a key at OpenRouter. The next page links to where its
    # owner can do so.
    key_hash = current_openrouter.key_hash
    current_openrouter.disconnect()
    session.pop("models", None)
    farewell = url_for("pages.disconnected", key=key_hash, deleted=deleted)
    return _without_drafts(redirect(farewell, 303))


def _without_drafts(response: Response) -> Response:
    # Unsent text is kept in the browser. The next person who uses it must not find that text.
    response.headers["Clear-Site-Data"] = '"storage"'
    return response
