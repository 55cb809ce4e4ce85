"""The view that asks a model, the only one that spends the visitor's money."""

from __future__ import annotations

import time
from functools import partial

from flask import Blueprint, Response, abort, current_app, request, url_for
from flask.typing import ResponseReturnValue

from flask_openrouter import OpenRouterError, current_openrouter, requires_openrouter_key
from flask_openrouter.client import CompletionStream, read_stream
from flask_openrouter.errors import KeyRejectedError

from . import answer
from .database import get_database, get_pool, transaction
from .draft import Draft
from .history import Conversation, History, forget_old
from .instructions import instructions_of, keep_instructions
from .models import model_name
from .problems import BUSY, Problem, problem_of
from .question import Question, QuestionError, Turn, plan_turn, read_question, title_of
from .visitor import owner_id

#: Longest answer to pay for, in tokens (three or four characters each).
MAX_COMPLETION = 4_096
#: How long a question waits for the end of an answer that was just stopped, in seconds.
PATIENCE = 2.0

bp = Blueprint("chat", __name__)


# Flask-OpenRouter: the guard stands below the route. Without a key the view does not run, and the
# page's script gets 401 with the address of the login. The same happens when OpenRouter rejects the
# key: the session raises KeyRejectedError, and the guard forgets the key.
@bp.post("/ask")
@requires_openrouter_key
def ask() -> ResponseReturnValue:
    """Answer a question with lines of JSON (see ``answer.py``).

    Nothing is stored until OpenRouter accepts the question. A refused one can be sent again.
    """
    if not request.is_json:
        # JSON cannot be posted across sites without a preflight, which this app never grants.
        abort(415)
    history = History(get_database(), owner_id())
    try:
        question = read_question(request.get_json(silent=True))
        conversation = _conversation_of(question, history)
        if conversation and not _is_idle(history, conversation):
            return _explain(BUSY)
        messages = history.messages(conversation.id) if conversation else []
        turn = plan_turn(question, messages)
        instructions = question.instructions
        if instructions is None and conversation:
            instructions = instructions_of(history.db, conversation.id)
        if instructions:
            turn.messages.insert(0, {"role": "system", "content": instructions})
    except QuestionError as error:
        return _explain(Problem("bad_request", 400, str(error), retry=False))
    stream = _ask_openrouter(question.model, turn)
    if isinstance(stream, Problem):
        return _explain(stream)
    return _stream(stream, history, question, conversation, turn)


def _conversation_of(question: Question, history: History) -> Conversation | None:
    if question.conversation_id is None:
        return None
    conversation = history.find(question.conversation_id)
    if conversation is None:
        raise QuestionError("This conversation was deleted. Start a new chat.")
    return conversation


def _is_idle(history: History, conversation: Conversation) -> bool:
    """Wait briefly for an answer in progress, because the server notices a stop with a delay."""
    deadline = time.monotonic() + PATIENCE
    while history.is_writing(conversation.id):
        if time.monotonic() > deadline:
            return False
        time.sleep(0.05)
    return True


def _ask_openrouter(model: str, turn: Turn) -> CompletionStream | Problem:
    try:
        # Flask-OpenRouter: the session sends this visitor's key to OpenRouter only.
        response = current_openrouter.session.post(
            "chat/completions",
            json={
                "model": model,
                "messages": turn.messages,
                "max_tokens": MAX_COMPLETION,
                "stream": True,
            },
            stream=True,
        )
        # Flask-OpenRouter: all errors of OpenRouter are typed, here and in the stream.
        return read_stream(response, heartbeat=answer.FRAME)
    except KeyRejectedError:
        raise
    except OpenRouterError as error:
        return problem_of(error, current_openrouter)


def _stream(
    stream: CompletionStream,
    history: History,
    question: Question,
    conversation: Conversation | None,
    turn: Turn,
) -> ResponseReturnValue:
    draft = None
    try:
        draft = _open_draft(history, question, conversation, turn)
    finally:
        if draft is None:
            stream.close()
    if draft is None:
        return _explain(BUSY)
    # Flask-OpenRouter: code that runs after the view has returned needs a detached connection.
    connection = current_openrouter.detach()
    lines = answer.Answer(stream, *draft, partial(problem_of, connection=connection))
    streamed = Response(lines, mimetype="application/x-ndjson")
    streamed.headers["Cache-Control"] = "no-store"
    streamed.headers["X-Accel-Buffering"] = "no"
    streamed.call_on_close(lines.close)
    return streamed


def _open_draft(
    history: History, question: Question, conversation: Conversation | None, turn: Turn
) -> tuple[Draft, dict[str, object]] | None:
    """Store the question and an empty answer. Return None if another tab was quicker."""
    with transaction(history.db):
        if conversation is not None and history.is_writing(conversation.id):
            return None
        if conversation is None:
            forget_old(history.db, current_app.config["CHAT_KEEP_DAYS"])
            conversation_id = history.create(title_of(question.text or ""))
        else:
            conversation_id = conversation.id
        question_id, answer_id = history.add_turn(
            conversation_id, turn.removed, question.text, question.model
        )
        if question.instructions is not None:
            keep_instructions(history.db, conversation_id, question.instructions)
        history.choose_model(question.model, model_name(question.model))
    begin: dict[str, object] = {
        "conversation": conversation_id,
        "url": url_for("pages.conversation", conversation_id=conversation_id),
        "question": question_id,
        "answer": answer_id,
    }
    draft = Draft(get_pool(), history.owner, conversation_id, answer_id, question.model)
    return draft, begin


def _explain(problem: Problem) -> ResponseReturnValue:
    headers = {"Retry-After": str(problem.wait)} if problem.wait else {}
    return problem.as_json(), problem.status, headers
