"""How to spend a visitor's money: the view that asks a model, and streams the answer."""

import sqlite3
import time
from collections.abc import Iterator
from contextlib import ExitStack
from functools import partial
from itertools import chain

from flask import Blueprint, Response, abort, request, url_for
from flask.typing import ResponseReturnValue

from flask_openrouter import OpenRouterError, current_openrouter, requires_openrouter_key
from flask_openrouter.client import CompletionStream, read_stream
from flask_openrouter.errors import KeyRejectedError

from .answer import FRAME, stream_lines
from .draft import begin_draft, note_trouble
from .history import History
from .problems import BUSY, ENDED, LASTING, Refused, problem_of
from .question import Question, Turn, invalid, plan_turn, posted_json, read_question
from .streams import place
from .visitor import account_id, own_history, remember_model

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

    A question that OpenRouter refuses leaves no trace, and can be sent again.
    """
    if not request.is_json:
        # JSON cannot be posted across sites without a preflight, which this app never grants.
        abort(415)
    with ExitStack() as undo:
        lines = _begin_answer(undo)
        # Begun here, because only what has begun does something when it is closed.
        lines = chain([next(lines)], lines)
        response = Response(lines, mimetype="application/x-ndjson")
        response.headers["X-Accel-Buffering"] = "no"
        response.call_on_close(undo.pop_all().close)
    return response


def _begin_answer(undo: ExitStack) -> Iterator[str]:
    """Ask OpenRouter and return the answer that begins. Raises :class:`Refused`.

    ``undo`` gets what has to be done when there is no answer, or at its end.
    """
    undo.enter_context(place(account_id()))
    history = own_history()
    question = read_question(posted_json())
    conversation = _conversation_of(question, history)
    messages = history.messages(conversation["id"]) if conversation else []
    turn = plan_turn(question, messages, conversation["instructions"] if conversation else "")
    # Stored before it is asked: if it is gone later, the visitor has deleted everything.
    draft = begin_draft(history, question, turn.parent_id)
    with ExitStack() as cancel:
        cancel.callback(draft.cancel)
        stream = _ask_openrouter(history, question, turn)
        cancel.callback(stream.close)
        if not draft.accept(history, question, turn):
            raise Refused(ENDED)
        cancel.pop_all()
    remember_model(question.model)
    begin = {
        "conversation": draft.conversation_id,
        "url": url_for("pages.conversation", conversation_id=draft.conversation_id),
        "question": draft.question_id,
        "answer": draft.answer_id,
    }
    # Flask-OpenRouter: code that runs after the view has returned needs a detached connection.
    explain = partial(problem_of, connection=current_openrouter.detach())
    lines = stream_lines(stream, draft, begin, explain)
    undo.callback(lines.close)
    return lines


def _conversation_of(question: Question, history: History) -> sqlite3.Row | None:
    if question.conversation_id is None:
        return None
    conversation = history.find(question.conversation_id)
    if conversation is None:
        raise invalid("This conversation was deleted. Start a new chat.")
    # The server notices with a delay that an answer was stopped.
    deadline = time.monotonic() + PATIENCE
    while history.is_writing(conversation["id"]):
        if time.monotonic() > deadline:
            raise Refused(BUSY)
        time.sleep(0.05)
    return conversation


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
        return read_stream(response, heartbeat=FRAME)
    except KeyRejectedError:
        raise
    except OpenRouterError as error:
        problem = problem_of(error, current_openrouter)
    if problem.error in LASTING:
        note_trouble(history, problem)
    raise Refused(problem)
