"""How to let visitors manage and take along what they wrote: rename, delete, export, copy."""

from __future__ import annotations

import re
from dataclasses import asdict
from datetime import datetime, timezone

from flask import Blueprint, Response, abort, jsonify, redirect, request, url_for
from flask.typing import ResponseReturnValue

from flask_openrouter import requires_openrouter_key

from .database import get_database
from .draft import note_of
from .history import MAX_TITLE, Conversation, History
from .models import model_name
from .problems import BUSY
from .visitor import owner_id

bp = Blueprint("conversations", __name__, url_prefix="/c/<conversation_id>")


def find_or_404(conversation_id: str) -> tuple[History, Conversation]:
    """Return this visitor's conversation. That of another visitor is not found."""
    history = History(get_database(), owner_id())
    conversation = history.find(conversation_id)
    if conversation is None:
        abort(404)
    return history, conversation


@bp.post("/rename")
@requires_openrouter_key
def rename(conversation_id: str) -> ResponseReturnValue:
    """Set the title to the form field ``title``. An empty one changes nothing."""
    history, conversation = find_or_404(conversation_id)
    if title := " ".join(request.form.get("title", "").split()):
        history.change(conversation.id, "title", title[:MAX_TITLE])
    return redirect(url_for("pages.conversation", conversation_id=conversation.id), 303)


@bp.post("/delete")
@requires_openrouter_key
def delete(conversation_id: str) -> ResponseReturnValue:
    """Delete the conversation and begin a new one."""
    history, conversation = find_or_404(conversation_id)
    history.delete(conversation.id)
    return redirect(url_for("pages.index"), 303)


@bp.get("/export.md")
@requires_openrouter_key
def export_markdown(conversation_id: str) -> ResponseReturnValue:
    """Download the conversation as a document to read."""
    history, conversation = find_or_404(conversation_id)
    parts = [f"# {conversation.title}"]
    for message in history.messages(conversation.id):
        who = "You" if message.role == "user" else model_name(message.model)
        parts += [f"## {who}", message.text]
        if message.role == "assistant":
            parts.append(f"*{note_of(message.state, message.tokens, message.cost)}*")
    text = "\n\n".join(parts) + "\n"
    return _download(Response(text, mimetype="text/markdown"), conversation, "md")


@bp.get("/export.json")
@requires_openrouter_key
def export_json(conversation_id: str) -> ResponseReturnValue:
    """Download the conversation for programs, with costs in USD and times in UTC."""
    history, conversation = find_or_404(conversation_id)
    updated_at = datetime.fromtimestamp(conversation.updated_at, timezone.utc)
    data = {
        "title": conversation.title,
        "updated_at": updated_at.isoformat(timespec="seconds"),
        "messages": [asdict(message) for message in history.messages(conversation.id)],
    }
    return _download(jsonify(data), conversation, "json")


@bp.get("/messages/<int:message_id>.md")
@requires_openrouter_key
def message(conversation_id: str, message_id: int) -> ResponseReturnValue:
    """Return the source text of one message, for the clipboard."""
    history, conversation = find_or_404(conversation_id)
    found = [m for m in history.messages(conversation.id) if m.id == message_id]
    if not found:
        abort(404)
    return Response(found[0].text, mimetype="text/markdown")


@bp.post("/versions/<int:message_id>")
@requires_openrouter_key
def choose_version(conversation_id: str, message_id: int) -> ResponseReturnValue:
    """Show this version of a message, and the messages after it."""
    history, conversation = find_or_404(conversation_id)
    if history.is_writing(conversation.id):
        return BUSY.as_response()
    if not history.choose_version(conversation.id, message_id):
        abort(404)
    return "", 204


def _download(response: Response, conversation: Conversation, ending: str) -> Response:
    # ASCII letters and digits only, so the title cannot add anything to the header.
    name = re.sub(r"[^A-Za-z0-9]+", "-", conversation.title).strip("-")[:60] or "conversation"
    response.headers["Content-Disposition"] = f'attachment; filename="{name}.{ending}"'
    return response
