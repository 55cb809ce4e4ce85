"""The chat: its page, the list of models, and the answers."""

from __future__ import annotations

import requests
from flask import Blueprint, Response, abort, current_app, render_template, request, url_for
from flask.typing import ResponseReturnValue

from flask_openrouter import current_openrouter, requires_openrouter_key
from flask_openrouter.errors import InvalidAnswerError, OutOfCreditError, TransportError

from .answer import Answer
from .conversation import MAX_PROMPT, MAX_TOTAL, ConversationError, read_conversation
from .problems import MODEL_TROUBLE, NETWORK, Problem, out_of_credit, problem_for_status

#: Longest answer to pay for, in the model's units of text (three or four characters each).
MAX_COMPLETION = 4_096

bp = Blueprint("chat", __name__)


@bp.before_request
def refuse_foreign_posts() -> None:
    """Only our own page may spend the visitor's money (CSRF).

    JSON cannot be posted across sites without a preflight, which this app never grants; on top of
    that the browser says where a request comes from.
    """
    if request.method != "POST":
        return
    own_origin = request.host_url.rstrip("/")
    site = request.headers.get("Sec-Fetch-Site")
    if site is None:  # a browser from before 2023
        is_ours = request.headers.get("Origin", own_origin) == own_origin
    else:
        is_ours = site == "same-origin"
    if not is_ours:
        abort(403)
    if not request.is_json:
        abort(415)


@bp.get("/")
def index() -> str:
    """The page: the chat when connected, else what this is and how to connect."""
    return render_template(
        "chat.html" if current_openrouter else "welcome.html",
        is_emulated=current_app.config.get("OPENROUTER_EMULATOR", False),
        key_limit=current_app.config.get("OPENROUTER_KEY_LIMIT"),
        login_url=url_for("openrouter.login", next=url_for(".index")),
        max_prompt=MAX_PROMPT,
        max_total=MAX_TOTAL,
    )


@bp.get("/models")
@requires_openrouter_key
def models() -> ResponseReturnValue:
    """``{"models": [{"id": ..., "name": ...}, ...]}``: the models that answer in text, by name."""
    try:
        answer = current_openrouter.session.get("models")
        if answer.status_code != 200:
            return _explain(problem_for_status(answer.status_code))
        found = [
            {"id": str(model["id"]), "name": str(model.get("name") or model["id"])}
            for model in answer.json()["data"]
            if "text" in model.get("architecture", {}).get("output_modalities", ["text"])
        ]
    except TransportError:
        return _explain(NETWORK)
    except (InvalidAnswerError, KeyError, TypeError, AttributeError, ValueError):
        return _explain(MODEL_TROUBLE)
    found.sort(key=lambda model: model["name"].casefold())
    return {"models": found}


@bp.post("/chat")
@requires_openrouter_key
def chat() -> ResponseReturnValue:
    """Answer ``{"model": ..., "messages": [...]}`` with lines of JSON (see ``answer.py``).

    A key that OpenRouter rejects is the guard's business: it answers 401 with the login address.
    """
    try:
        conversation = read_conversation(request.get_json(silent=True))
    except ConversationError as error:
        return _explain(Problem("bad_request", str(error), status=400, retry=False))
    key_url = current_openrouter.settings_url
    try:
        upstream = current_openrouter.session.post(
            "chat/completions",
            json={
                "model": conversation.model,
                "messages": conversation.messages,
                "max_tokens": MAX_COMPLETION,
                "stream": True,
            },
            stream=True,
        )
    except OutOfCreditError as error:
        # 403 is the key's own limit, 402 the account's balance.
        return _explain(out_of_credit(key_url if error.status == 403 else error.settings_url))
    except TransportError:
        return _explain(NETWORK)
    except InvalidAnswerError:
        return _explain(MODEL_TROUBLE)
    if upstream.status_code != 200 or "text/event-stream" not in _content_type(upstream):
        upstream.close()
        retry_after = upstream.headers.get("Retry-After")
        return _explain(problem_for_status(upstream.status_code, retry_after))
    answer = Answer(upstream, key_url)
    response = Response(answer, mimetype="application/x-ndjson")
    response.headers["Cache-Control"] = "no-store"
    response.headers["X-Accel-Buffering"] = "no"
    response.call_on_close(answer.close)
    return response


def _content_type(upstream: requests.Response) -> str:
    return upstream.headers.get("Content-Type", "")


def _explain(problem: Problem) -> tuple[dict[str, object], int]:
    return problem.as_json(), problem.status
