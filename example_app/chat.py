"""How to spend a visitor's money: the view that asks a model, and streams the answer."""

from __future__ import annotations

import time
from contextlib import ExitStack
from functools import partial

from flask import Blueprint, Response, abort, current_app, request, url_for
from flask.typing import ResponseReturnValue

from flask_openrouter import OpenRouterError, current_openrouter, requires_openrouter_key
from flask_openrouter.client import CompletionStream, read_stream
from flask_openrouter.errors import KeyRejectedError

from . import answer, spending
from .database import get_database, get_pool, transaction
from .draft import Draft
from .history import MAX_MESSAGES, Conversation, History, forget_old
from .problems import BUSY, ENDED, LASTING, Refused, problem_of
from .question import Question, Turn, invalid, plan_turn, read_question, title_of
from .streams import get_streams
from .visitor import owner_id, remember_model

#: Longest answer to pay for, in tokens (three or four characters each), and the same if a model has
#: used all of them for thinking and the visitor wants it to continue.
MAX_COMPLETION, MAX_LONG = 4_096, 16_384
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
    with ExitStack() as undo:
        try:
            lines = _begin_answer(undo)
        except Refused as refused:
            return refused.problem.as_response()
        streamed = Response(lines, mimetype="application/x-ndjson")
        streamed.headers["Cache-Control"] = "no-store"
        streamed.headers["X-Accel-Buffering"] = "no"
        streamed.call_on_close(undo.pop_all().close)
    return streamed


def _begin_answer(undo: ExitStack) -> answer.Answer:
    """Ask OpenRouter and return the answer that begins. Raises :class:`Refused`.

    ``undo`` gets what has to be done when there is no answer, or at its end.
    """
    place = undo.enter_context(get_streams().place(current_openrouter.key_hash))
    history = History(get_database(), owner_id())
    question = read_question(request.get_json(silent=True))
    conversation = _conversation_of(question, history)
    turn = plan_turn(question, history.messages(conversation.id) if conversation else [])
    instructions = question.instructions
    if instructions is None and conversation:
        instructions = conversation.instructions
    if instructions:
        turn.messages.insert(0, {"role": "system", "content": instructions})
    with ExitStack() as cancel:
        # Before the question is sent: if it is gone later, the visitor has deleted everything.
        spending_id = spending.begin(history.db, history.owner, question.model)
        cancel.callback(spending.cancel, history.db, spending_id)
        stream = _ask_openrouter(history, question, turn)
        cancel.callback(stream.close)
        place.stream = stream
        draft, begin = _open_draft(history, question, conversation, turn, spending_id)
        if place.is_stopped:
            raise Refused(ENDED)
        cancel.pop_all()
    # Flask-OpenRouter: code that runs after the view has returned needs a detached connection.
    explain = partial(problem_of, connection=current_openrouter.detach())
    lines = answer.Answer(stream, draft, begin, explain)
    undo.callback(lines.close)
    return lines


def _conversation_of(question: Question, history: History) -> Conversation | None:
    if question.conversation_id is None:
        return None
    conversation = history.find(question.conversation_id)
    if conversation is None:
        raise invalid("This conversation was deleted. Start a new chat.")
    if history.count(conversation.id) >= MAX_MESSAGES:
        raise invalid("This conversation is too long. Start a new chat.")
    if not _is_idle(history, conversation):
        raise Refused(BUSY)
    return conversation


def _is_idle(history: History, conversation: Conversation) -> bool:
    """Wait briefly for an answer in progress, because the server notices a stop with a delay."""
    deadline = time.monotonic() + PATIENCE
    while history.is_writing(conversation.id):
        if time.monotonic() > deadline:
            return False
        time.sleep(0.05)
    return True


def _ask_openrouter(history: History, question: Question, turn: Turn) -> CompletionStream:
    try:
        # Flask-OpenRouter: the session sends this visitor's key to OpenRouter only.
        response = current_openrouter.session.post(
            "chat/completions",
            json={
                "model": question.model,
                "messages": turn.messages,
                "max_tokens": MAX_LONG if question.is_long else MAX_COMPLETION,
                "stream": True,
            },
            stream=True,
        )
        # Flask-OpenRouter: all errors of OpenRouter are typed, here and in the stream.
        return read_stream(response, heartbeat=answer.FRAME)
    except KeyRejectedError:
        raise
    except OpenRouterError as error:
        problem = problem_of(error, current_openrouter)
    if problem.error in LASTING:
        spending.note_trouble(history.db, history.owner, problem.as_json())
    raise Refused(problem)


def _open_draft(
    history: History,
    question: Question,
    conversation: Conversation | None,
    turn: Turn,
    spending_id: int,
) -> tuple[Draft, dict[str, object]]:
    """Store the question and an empty answer, unless another tab was quicker."""
    with transaction(history.db):
        if conversation is not None and history.is_writing(conversation.id):
            raise Refused(BUSY)
        if conversation is None:
            forget_old(history.db, current_app.config["CHAT_KEEP_DAYS"])
            conversation_id = history.create(title_of(question.text or ""))
        else:
            conversation_id = conversation.id
        if not spending.place(history.db, spending_id, conversation_id):
            raise Refused(ENDED)
        question_id, answer_id = history.add_turn(
            conversation_id, turn.parent_id, question.text, question.model
        )
        if question.instructions is not None:
            history.change(conversation_id, "instructions", question.instructions)
        spending.note_trouble(history.db, history.owner, None)
    remember_model(question.model)
    begin: dict[str, object] = {
        "conversation": conversation_id,
        "url": url_for("pages.conversation", conversation_id=conversation_id),
        "question": question_id,
        "answer": answer_id,
    }
    draft = Draft(get_pool(), history.owner, conversation_id, question_id, answer_id, spending_id)
    return draft, begin
