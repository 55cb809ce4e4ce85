"""How to write an answer down while it arrives, so that no text and no cost is lost."""

import json
import sqlite3
import time
from dataclasses import dataclass

from flask import current_app

from flask_openrouter.client import Usage

from .database import opened, transaction
from .history import History
from .problems import BUSY, ENDED, LASTING, Problem, Refused
from .question import Question, Turn, title_of

_DAY = 86_400.0
#: Amounts are kept for a year. The usage view shows a month.
_SPENDING_KEPT = 366 * _DAY
#: The states of an answer that takes the place of an earlier version.
_WHOLE = {"done", "cut"}


@dataclass(frozen=True)
class Draft:
    """A stored question and its answer, which is written after the request.

    ``question_id``: None if the question existed before.
    """

    path: str
    owner: str
    conversation_id: str
    question_id: int | None
    answer_id: int
    spending_id: int

    def save(self, text: str, thoughts: str) -> bool:
        """Save what arrived, and show other workers that the answer is still being written.

        Return whether to go on: not if the answer was deleted, or stopped by a disconnect.
        """
        with opened(self.path) as db, transaction(db):
            return self._write(db, text, thoughts, "writing", None, None)

    def finish(
        self, text: str, thoughts: str, state: str, usage: Usage | None, problem: Problem | None
    ) -> str:
        """Save the final text, record the cost, and return the conversation's cost in words.

        An empty answer is deleted, so that the question can be asked again. One that is not whole
        leaves the earlier version in its place. A cost that OpenRouter did not report is unknown
        (NULL), not 0. Nothing is written of what the owner has deleted meanwhile.
        """
        spent = (usage.total_tokens, usage.cost) if usage else (None, None)
        with opened(self.path) as db, transaction(db):
            if text or thoughts:
                self._write(db, text, thoughts, state, *spent)
            else:
                db.execute("DELETE FROM message WHERE id = ?", (self.answer_id,))
            if state not in _WHOLE or not text:
                db.execute(
                    "UPDATE message SET chosen_at = -1 WHERE id IN (?, ?)",
                    (self.question_id, self.answer_id),
                )
            if text or thoughts or usage:
                done = db.execute(
                    "UPDATE spending SET tokens = ?, cost = ?, spent_at = ? WHERE id = ?",
                    (*spent, time.time(), self.spending_id),
                )
            else:
                done = db.execute("DELETE FROM spending WHERE id = ?", (self.spending_id,))
            history = History(db, self.owner)
            if problem is not None and problem.error in LASTING and done.rowcount:
                note_trouble(history, problem)
            return history.cost_of(self.conversation_id)

    def _write(self, db: sqlite3.Connection, *values: object) -> bool:
        _, _, state, *_ = values
        cursor = db.execute(
            "UPDATE message SET text = ?, thoughts = ?, state = ?, tokens = ?, cost = ?,"
            " touched_at = ? WHERE id = ? AND (state = 'writing' OR ? != 'writing')",
            (*values, time.time(), self.answer_id, state),
        )
        return cursor.rowcount == 1


def begin_spending(history: History, model: str) -> int:
    """Record that OpenRouter is going to be asked. The cost is unknown until the end."""
    cursor = history.db.execute(
        "INSERT INTO spending (owner, model, spent_at) VALUES (?, ?, ?)",
        (history.owner, model, time.time()),
    )
    return cursor.lastrowid or 0


def cancel_spending(history: History, spending_id: int) -> None:
    """Remove the record of a question that was refused."""
    history.db.execute("DELETE FROM spending WHERE id = ?", (spending_id,))


def begin_draft(history: History, question: Question, turn: Turn, spending_id: int) -> Draft:
    """Store an accepted question and an empty answer, as the versions that are shown.

    Raises :class:`Refused` if another tab was quicker, or everything was deleted meanwhile.
    """
    db, conversation_id = history.db, question.conversation_id
    with transaction(db):
        if conversation_id is None:
            conversation_id = history.create(title_of(question.text or ""))
        elif history.is_writing(conversation_id):
            raise Refused(BUSY)
        place = (conversation_id, spending_id)
        if not db.execute("UPDATE spending SET conversation_id = ? WHERE id = ?", place).rowcount:
            raise Refused(ENDED)
        question_id, parent_id = None, turn.parent_id
        if question.text is not None:
            question_id = parent_id = _add(db, conversation_id, parent_id, "user", question.text)
        answer_id = _add(db, conversation_id, parent_id, "assistant", "", question.model, "writing")
        db.execute(
            "UPDATE conversation SET updated_at = ?, model = ?, instructions = ? WHERE id = ?",
            (time.time(), question.model, turn.instructions, conversation_id),
        )
        note_trouble(history, None)
    path = current_app.config["CHAT_DATABASE"]
    return Draft(path, history.owner, conversation_id, question_id, answer_id, spending_id)


def _add(
    db: sqlite3.Connection,
    conversation_id: str,
    parent_id: int | None,
    role: str,
    text: str,
    model: str = "",
    state: str = "done",
) -> int:
    now = time.time()
    cursor = db.execute(
        "INSERT INTO message (conversation_id, parent_id, role, text, model, state, touched_at,"
        " chosen_at) VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
        (conversation_id, parent_id, role, text, model, state, now, now),
    )
    return cursor.lastrowid or 0


def note_trouble(history: History, problem: Problem | None) -> None:
    """Remember a problem of payment for all pages of an owner, or with None, its end."""
    history.db.execute("DELETE FROM trouble WHERE owner = ?", (history.owner,))
    if problem is not None:
        values = (history.owner, json.dumps(problem.as_json()), time.time())
        history.db.execute("INSERT INTO trouble VALUES (?, ?, ?)", values)


def stop_drafts(history: History) -> None:
    """Stop the answers under way. Other workers notice it when they save one or begin one."""
    with transaction(history.db):
        history.db.execute(
            "UPDATE message SET state = 'stopped' WHERE state = 'writing' AND conversation_id"
            " IN (SELECT id FROM conversation WHERE owner = ?)",
            (history.owner,),
        )
        history.db.execute(
            "DELETE FROM spending WHERE owner = ? AND conversation_id IS NULL", (history.owner,)
        )


def forget_old(db: sqlite3.Connection, keep_days: float) -> None:
    """Delete conversations unused for ``keep_days``, and amounts after a year, of all owners."""
    now = time.time()
    db.execute("DELETE FROM conversation WHERE updated_at < ?", (now - keep_days * _DAY,))
    db.execute("DELETE FROM trouble WHERE noted_at < ?", (now - _DAY,))
    db.execute("DELETE FROM spending WHERE spent_at < ?", (now - _SPENDING_KEPT,))
