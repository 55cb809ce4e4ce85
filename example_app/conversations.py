"""How to let visitors manage and take along what they wrote: rename, delete, export, copy."""

import re
import sqlite3

from flask import Blueprint, Response, abort, redirect, request, url_for
from flask.typing import ResponseReturnValue

from flask_openrouter import requires_openrouter_key

from .history import History, note_of
from .models import model_name
from .problems import BUSY, Refused
from .visitor import own_history

#: Longest title, in characters.
MAX_TITLE = 80

bp = Blueprint("conversations", __name__, url_prefix="/c/<conversation_id>")


def find_or_404(conversation_id: str) -> tuple[History, sqlite3.Row]:
    """Return this visitor's conversation. That of another visitor is not found."""
    history = own_history()
    return history, history.find(conversation_id) or abort(404)


@bp.post("/rename")
@requires_openrouter_key
def rename(conversation_id: str) -> ResponseReturnValue:
    """Set the title to the form field ``title``. An empty one changes nothing."""
    history, conversation = find_or_404(conversation_id)
    if title := " ".join(request.form.get("title", "").split()):
        history.change(conversation["id"], "title", title[:MAX_TITLE])
    return redirect(url_for("pages.conversation", conversation_id=conversation["id"]), 303)


@bp.post("/delete")
@requires_openrouter_key
def delete(conversation_id: str) -> ResponseReturnValue:
    """Delete the conversation and begin a new one."""
    history, conversation = find_or_404(conversation_id)
    history.delete(conversation["id"])
    return redirect(url_for("pages.index"), 303)


@bp.get("/export.md")
@requires_openrouter_key
def export_markdown(conversation_id: str) -> ResponseReturnValue:
    """Download the conversation as a document to read."""
    history, conversation = find_or_404(conversation_id)
    parts = [f"# {conversation['title']}"]
    for message in history.messages(conversation["id"]):
        if message["role"] == "user":
            parts += ["## You", message["text"]]
        else:
            note = note_of(message["state"], message["tokens"], message["cost"])
            parts += [f"## {model_name(message['model'])}", message["text"], f"*{note}*"]
    response = Response("\n\n".join(parts) + "\n", mimetype="text/markdown")
    # ASCII letters and digits only, so the title cannot add anything to the header.
    name = re.sub(r"[^A-Za-z0-9]+", "-", conversation["title"]).strip("-") or "conversation"
    response.headers["Content-Disposition"] = f'attachment; filename="{name}.md"'
    return response


@bp.get("/messages/<int:message_id>.md")
@requires_openrouter_key
def message(conversation_id: str, message_id: int) -> ResponseReturnValue:
    """Return the source text of one message, for the clipboard."""
    history, conversation = find_or_404(conversation_id)
    texts = {message["id"]: message["text"] for message in history.messages(conversation["id"])}
    return Response(texts.get(message_id) or abort(404), mimetype="text/markdown")


@bp.post(f"/versions/<int(max={2**63 - 1}):message_id>")  # SQLite's largest number
@requires_openrouter_key
def choose_version(conversation_id: str, message_id: int) -> ResponseReturnValue:
    """Show this version of a message, and the messages after it."""
    history, conversation = find_or_404(conversation_id)
    if history.is_writing(conversation["id"]):
        raise Refused(BUSY)
    if not history.choose_version(conversation["id"], message_id):
        abort(404)
    return "", 204
