"""How to serve pages: the welcome page for visitors without a key, the chat, and errors."""

from __future__ import annotations

import logging
import re
import sqlite3
from typing import Any

from flask import (
    Blueprint,
    Flask,
    current_app,
    has_request_context,
    jsonify,
    render_template,
    request,
    session,
    url_for,
)
from flask.typing import ResponseReturnValue
from werkzeug.exceptions import HTTPException, SecurityError

from flask_openrouter import current_openrouter, requires_openrouter_key
from flask_openrouter.signals import key_connected, key_disconnected

from .conversations import find_or_404
from .database import get_database
from .draft import cost_of, note_of
from .history import Conversation, History
from .models import model_name
from .problems import NOT_SAVED
from .question import MAX_INSTRUCTIONS, MAX_PROMPT
from .render import to_html
from .spending import trouble_of
from .visitor import owner_id, recent_models

logger = logging.getLogger(__name__)

bp = Blueprint("pages", __name__)

#: Titles and messages of the error pages, by status.
_ERRORS = {
    403: ("That came from another site", "Use the buttons and links of this page instead."),
    404: ("Nothing here", "The address is wrong, or the conversation was deleted."),
    413: ("That is too much at once", "Send a shorter message."),
    500: ("Something broke", "This is our mistake, and it has been logged. Try again in a moment."),
    503: ("Not at the moment", NOT_SAVED.message),
}


def init_app(app: Flask) -> None:
    """Add the names that templates use, and the error pages."""
    app.jinja_env.globals.update(note_of=note_of, model_name=model_name, to_html=to_html)
    app.jinja_env.trim_blocks = app.jinja_env.lstrip_blocks = True
    app.context_processor(lambda: {"conversations": _conversations, "trouble": _trouble})
    app.register_error_handler(HTTPException, show_http_error)
    app.register_error_handler(sqlite3.Error, show_database_error)
    for signal in (key_connected, key_disconnected):
        signal.connect(_remember_rejection, app)


def welcome(**more: object) -> str:
    """Show the welcome page to a visitor without a key. A login comes back to this address."""
    return render_template(
        "welcome.html",
        next_url=request.path if request.method == "GET" else url_for("pages.index"),
        is_rejected=session.get("key_rejected"),
        key_limit=current_app.config.get("OPENROUTER_KEY_LIMIT"),
        keep_days=current_app.config["CHAT_KEEP_DAYS"],
        **more,
    )


def _remember_rejection(_: Flask, reason: str = "", **_more: object) -> None:
    # Flask-OpenRouter: "rejected" means that OpenRouter no longer accepts the key.
    if has_request_context():
        session["key_rejected"] = reason == "rejected"


@bp.get("/")
@requires_openrouter_key(on_missing=welcome)
def index() -> str:
    """Show an empty chat. Nothing is stored before the first question is accepted."""
    return _show_chat(None)


@bp.get("/c/<conversation_id>")
@requires_openrouter_key(on_missing=welcome)
def conversation(conversation_id: str) -> str:
    """Show an existing conversation."""
    _, found = find_or_404(conversation_id)
    return _show_chat(found)


@bp.get("/disconnected")
def disconnected() -> str:
    """Show what disconnecting did and did not do."""
    key_hash = request.args.get("key", "")
    return render_template(
        "disconnected.html",
        key_hash=key_hash if re.fullmatch(r"[0-9a-f]{64}", key_hash) else None,
        is_deleted="deleted" in request.args,
        keep_days=current_app.config["CHAT_KEEP_DAYS"],
    )


@bp.get("/health")
def health() -> ResponseReturnValue:
    """Report to monitoring that the app responds and can read its database."""
    get_database().execute("SELECT count(*) FROM trial").fetchone()
    return {"status": "ok"}


def show_http_error(error: HTTPException) -> ResponseReturnValue:
    """Explain an HTTP error as a page, or as JSON for the page's script."""
    status = error.code or 500
    if error.response is not None or status < 400 or isinstance(error, SecurityError):
        # SecurityError: the host is not trusted, so url_for cannot build addresses for a page.
        return error.get_response()
    title, message = _ERRORS.get(status, (error.name, "Go back and try again."))
    if request.headers.get("Sec-Fetch-Mode", "navigate") != "navigate" or request.is_json:
        response = jsonify(error="server", message=message, retry=status >= 500)
    else:
        page = render_template("problem.html", title=title, message=message)
        response = current_app.make_response(page)
    response.status_code = status
    for name, value in error.get_headers(None, None):
        if name.lower() not in ("content-type", "content-length"):
            response.headers[name] = value  # such as Allow
    return response


def show_database_error(error: sqlite3.Error) -> ResponseReturnValue:
    """Explain a database failure, such as a locked file or a full disk."""
    logger.error("The database failed.", exc_info=error)
    if request.is_json:
        return NOT_SAVED.as_json(), NOT_SAVED.status
    title, message = _ERRORS[503]
    return render_template("problem.html", title=title, message=message), 503


def _conversations() -> list[Conversation]:
    """Return the conversations for the side bar, or none without a connection."""
    return History(get_database(), owner_id()).conversations() if current_openrouter else []


def _trouble() -> dict[str, Any] | None:
    """Return the problem that kept the last question from being paid for, for a notice."""
    return trouble_of(get_database(), owner_id()) if current_openrouter else None


def _show_chat(found: Conversation | None) -> str:
    history = History(get_database(), owner_id())
    model = (found and found.model) or next(iter(recent_models()), "")
    return render_template(
        "chat.html",
        conversation=found,
        messages=history.messages(found.id) if found else [],
        instructions=found.instructions if found else "",
        max_instructions=MAX_INSTRUCTIONS,
        totals=cost_of(history.db, history.owner, found.id) if found else "",
        model=model and {"id": model, "name": model_name(model)},
        max_prompt=MAX_PROMPT,
        login_url=url_for("openrouter.login", next=request.path),
    )
