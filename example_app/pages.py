"""How to serve pages: the welcome page for visitors without a key, the chat, and errors."""

import re
import sqlite3
import time

from flask import Blueprint, Flask, abort, json, render_template, request, session, url_for
from flask.typing import ResponseReturnValue
from markupsafe import Markup
from werkzeug import Response
from werkzeug.exceptions import HTTPException, SecurityError

from flask_openrouter import requires_openrouter_key
from flask_openrouter.signals import key_connected, key_disconnected

from .database import get_database
from .history import note_of
from .models import model_name
from .problems import Refused
from .question import MAX_INSTRUCTIONS, MAX_PROMPT
from .render import to_html
from .visitor import own_history, recent_models

#: Most characters of answers that a page shows as Markdown. Their HTML is always much smaller than
#: MAX_KEPT in render.py, so that the next page finds it.
MAX_OF_PAGE = 100_000
#: How long a page renders answers, in seconds on the processor. The next page goes on.
MAX_TIME = 2.0

bp = Blueprint("pages", __name__)

#: Titles and messages of the error pages, by status.
_ERRORS = {
    403: ("That came from another site", "Use the buttons and links of this page instead."),
    404: ("Nothing here", "The address is wrong, or the conversation was deleted."),
    413: ("That is too much at once", "Send a shorter message."),
    500: ("Something broke", "This is our mistake, and it has been logged. Try again in a moment."),
}


def init_app(app: Flask) -> None:
    """Add the names that templates use, and notice when a key is rejected."""
    app.jinja_env.globals.update(note_of=note_of, model_name=model_name, own_history=own_history)
    app.jinja_env.trim_blocks = app.jinja_env.lstrip_blocks = True
    for signal in (key_connected, key_disconnected):
        signal.connect(_remember_rejection, app)


def welcome(**more: object) -> str:
    """Show the welcome page to a visitor without a key. A login comes back to this address."""
    return render_template(
        "welcome.html",
        next_url=request.path if request.method == "GET" else url_for("pages.index"),
        is_rejected=session.get("key_rejected"),
        **more,
    )


def _remember_rejection(_: Flask, reason: str = "", **_more: object) -> None:
    # Flask-OpenRouter: "rejected" means that OpenRouter no longer accepts the key.
    if request:
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
    return _show_chat(own_history().find(conversation_id) or abort(404))


def _show_chat(found: sqlite3.Row | None) -> str:
    history, left, began = own_history(), MAX_OF_PAGE, time.thread_time()
    messages = history.messages(found["id"]) if found else []
    for message in reversed(messages):
        if message["role"] == "assistant":
            left -= len(message["text"])
            is_late = left < 0 or time.thread_time() - began >= MAX_TIME
            # Older answers are shown as they were written.
            show = Markup('<p class="written">{}</p>').format if is_late else to_html
            message["html"] = show(message["text"])
    model = found["model"] if found else next(iter(recent_models()), "")
    return render_template(
        "chat.html",
        conversation=found,
        messages=messages,
        instructions=found["instructions"] if found else "",
        max_instructions=MAX_INSTRUCTIONS,
        totals=history.cost_of(found["id"]) if found else "",
        model=model and {"id": model, "name": model_name(model)},
        max_prompt=MAX_PROMPT,
        login_url=url_for("openrouter.login", next=request.path),
    )


@bp.get("/disconnected")
def disconnected() -> str:
    """Show what disconnecting did and did not do."""
    key_hash = request.args.get("key", "")
    return render_template(
        "disconnected.html",
        key_hash=key_hash if re.fullmatch(r"[0-9a-f]{64}", key_hash) else None,
        is_deleted="deleted" in request.args,
    )


@bp.get("/health")
def health() -> ResponseReturnValue:
    """Report to monitoring that the app responds and can read its database."""
    get_database().execute("SELECT count(*) FROM trial").fetchone()
    return {"status": "ok"}


@bp.app_errorhandler(HTTPException)
def show_error(error: HTTPException) -> Response:
    """Explain an HTTP error as a page, or as JSON for the page's script."""
    response, status = error.get_response(), error.code or 500
    if error.response is not None or status < 400 or isinstance(error, SecurityError):
        # SecurityError: the host is not trusted, so url_for cannot build addresses for a page.
        return response
    title, message = _ERRORS.get(status, (error.name, "Go back and try again."))
    data: dict[str, object] = {"error": "server", "message": message, "retry": status >= 500}
    if isinstance(error, Refused):
        message, data = error.problem.message, error.problem.as_json()
        if error.problem.wait:
            response.headers["Retry-After"] = str(error.problem.wait)
    if request.is_json or request.headers.get("Sec-Fetch-Mode", "navigate") != "navigate":
        response.data, response.mimetype = json.dumps(data), "application/json"
    else:
        response.data = render_template("problem.html", title=title, message=message)
    return response
