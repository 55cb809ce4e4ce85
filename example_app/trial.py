"""How to let visitors try the app before they connect: free questions on a key of its own."""

from contextlib import suppress
from ipaddress import IPv6Address

from flask import Blueprint, abort, current_app, redirect, request, url_for
from flask.typing import ResponseReturnValue

from flask_openrouter import current_openrouter, requires_openrouter_key
from flask_openrouter.client import read_completion

from .database import get_database, transaction
from .pages import welcome
from .question import title_of
from .render import to_html
from .streams import place

#: The model of free answers, and the longest question (characters) and answer (tokens).
MODEL, MAX_TEXT, MAX_ANSWER = "openai/gpt-4o-mini", 2_000, 500
#: Free questions a day from one address and in all, as multiples of one browser's.
OF_ADDRESS, OF_ALL = 5, 100

bp = Blueprint("trial", __name__)


# Flask-OpenRouter: registered with auth.fallback_key (see __init__.py). It is called for visitors
# without a key, in views that say fallback=True. After None they are asked to connect.
def free_key() -> str | None:
    """Return the app's own key, if this visitor has a free question left. That counts it."""
    key: str | None = current_app.config["CHAT_FREE_KEY"]
    if not key or not request.form.get("text", "").strip():
        return None
    most, db = current_app.config["CHAT_FREE_QUESTIONS"], get_database()
    # Anybody gets a new visitor_id by deleting a cookie, so addresses count, too.
    limits = {
        current_openrouter.visitor_id: most,
        f"address {_network(request.remote_addr)}": most * OF_ADDRESS,
        "all": most * OF_ALL,
    }
    with transaction(db):
        db.execute("DELETE FROM trial WHERE day != date('now')")
        if any(_used(name) >= limit for name, limit in limits.items()):
            return None
        db.executemany(
            "INSERT INTO trial VALUES (date('now'), ?, 1)"
            " ON CONFLICT (name) DO UPDATE SET used = used + 1",
            [(name,) for name in limits],
        )
    return key


def _network(address: str | None) -> str | None:
    """Return an address, or the first half of an IPv6 address. One visitor has all that follow."""
    with suppress(ValueError):
        ip = IPv6Address(address or "")
        address = str(ip.ipv4_mapped or ip.exploded[:19])
    return address


@bp.app_template_global()
def free_questions_left() -> int:
    """Return how many free questions this browser has left today."""
    if not current_app.config["CHAT_FREE_KEY"]:
        return 0
    most = int(current_app.config["CHAT_FREE_QUESTIONS"])
    return max(0, most - _used(current_openrouter.visitor_id))


def _used(name: str) -> int:
    query = "SELECT coalesce(sum(used), 0) FROM trial WHERE name = ? AND day = date('now')"
    return int(get_database().execute(query, (name,)).fetchone()[0])


@bp.post("/try")
@requires_openrouter_key(fallback=True, on_missing=welcome)
def ask() -> ResponseReturnValue:
    """Answer one free question on the welcome page. Nothing of it is stored."""
    text = request.form.get("text", "").strip()
    if not current_openrouter.is_fallback:
        return redirect(url_for("pages.index"), 303)
    if len(text) > MAX_TEXT:
        abort(413)
    question = {"role": "user", "content": text}
    with place(current_openrouter.visitor_id):
        reply = current_openrouter.session.post(
            "chat/completions",
            json={"model": MODEL, "messages": [question], "max_tokens": MAX_ANSWER},
        )
        # Flask-OpenRouter: an error becomes a page. If the app's key is spent, on_missing.
        answer = read_completion(reply)
    words = answer.text or answer.refusal or "The model said nothing."
    return welcome(question=title_of(text), answer=to_html(words))
