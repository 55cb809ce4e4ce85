"""How to write an answer down while it arrives, so that no text and no cost is lost."""

import json
import secrets
import sqlite3
import time
from dataclasses import dataclass

from flask import current_app

from flask_openrouter.client import Usage

from .database import opened, transaction
from .history import History
from .problems import BUSY, LASTING, Problem, Refused
from .question import Question, Turn, title_of

_DAY = 86_400.0
#: Amounts are kept for a year. The usage view shows a month.
_AMOUNTS_KEPT = 366 * _DAY
#: The states of an answer that takes the place of an earlier version.
_WHOLE = {"done", "cut"}


@dataclass(frozen=True)
class Draft:
    """The stored question and its answer, written outside of the request.

    ``question_id``: None if the question existed before.
    """

    path: str
    owner: str
    conversation_id: str
    question_id: int | None
    answer_id: int

    def cancel(self) -> None:
        """Remove a question that OpenRouter refused."""
        with opened(self.path) as db, transaction(db):
            ids = (self.question_id, self.answer_id)
            db.execute("DELETE FROM message WHERE id IN (?, ?)", ids)
            db.execute(
                "DELETE FROM conversation WHERE id = ? AND NOT EXISTS"
                " (SELECT 1 FROM message WHERE conversation_id = conversation.id)",
                (self.conversation_id,),
            )

    def accept(self, history: History, question: Question, turn: Turn) -> bool:
        """Note that OpenRouter answers. Return False if the question was deleted or stopped."""
        with transaction(history.db):
            forget_old(history.db, current_app.config["CHAT_KEEP_DAYS"])
            if not self._write(history.db, "", "", "writing", None, None):
                return False
            history.db.execute(
                "UPDATE conversation SET updated_at = ?, model = ?, instructions = ? WHERE id = ?",
                (time.time(), question.model, turn.instructions, self.conversation_id),
            )
            note_trouble(history, None)
        return True

    def save(self, text: str, thoughts: str) -> bool:
        """Save what arrived, and show other workers that the answer is still being written.

        Return whether to go on: not if the answer was deleted, or stopped by a disconnect.
        """
        with opened(self.path) as db, transaction(db):
            return self._write(db, text, thoughts, "writing", None, None)

    def finish(
        self, text: str, thoughts: str, state: str, usage: Usage | None, problem: Problem | None
    ) -> str:
        """Save the final text and the cost, and return the conversation's cost in words.

        An answer of which nothing arrived is deleted, so that the question can be asked again. One
        that is not whole leaves the earlier version in its place. A cost that OpenRouter did not
        report is unknown (NULL), not 0. Nothing is written of what the owner has deleted meanwhile.
        """
        spent = (usage.total_tokens, usage.cost) if usage else (None, None)
        with opened(self.path) as db, transaction(db):
            is_there = self._write(db, text, thoughts, state, *spent)
            if state not in _WHOLE or not text:
                ids = (self.question_id, self.answer_id)
                db.execute("UPDATE message SET chosen_at = -1 WHERE id IN (?, ?)", ids)
            if not (text or thoughts or usage):
                db.execute("DELETE FROM message WHERE id = ?", (self.answer_id,))
            history = History(db, self.owner)
            if problem is not None and problem.error in LASTING and is_there:
                note_trouble(history, problem)
            return history.cost_of(self.conversation_id)

    def _write(self, db: sqlite3.Connection, *values: object) -> bool:
        _, _, state, *_ = values
        cursor = db.execute(
            "UPDATE message SET text = iif(conversation_id IS NULL, '', ?),"
            " thoughts = iif(conversation_id IS NULL, '', ?), state = ?, tokens = ?, cost = ?,"
            " touched_at = ? WHERE id = ? AND (state = 'writing' OR ? != 'writing')",
            (*values, time.time(), self.answer_id, state),
        )
        return cursor.rowcount == 1


def begin_draft(history: History, question: Question, parent_id: int | None) -> Draft:
    """Store a question and an empty answer below a message, before OpenRouter is asked.

    Raises :class:`Refused` if another tab was quicker.
    """
    db, owner, now = history.db, history.owner, time.time()
    insert = (
        "INSERT INTO message (owner, conversation_id, parent_id, role, text, model, state,"
        " touched_at, chosen_at) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)"
    )
    with transaction(db):
        conversation_id = question.conversation_id
        if conversation_id is None:
            conversation_id = secrets.token_urlsafe(12)
            db.execute(
                "INSERT INTO conversation VALUES (?, ?, ?, ?, '', ?)",
                (conversation_id, owner, title_of(question.text or ""), question.model, now),
            )
        elif history.is_writing(conversation_id):
            raise Refused(BUSY)
        place = (owner, conversation_id)
        question_id = None
        if question.text is not None:
            row = (*place, parent_id, "user", question.text, "", "done", now, now)
            question_id = parent_id = db.execute(insert, row).lastrowid
        row = (*place, parent_id, "assistant", "", question.model, "writing", now, now)
        answer_id = db.execute(insert, row).lastrowid or 0
    path = current_app.config["CHAT_DATABASE"]
    return Draft(path, owner, conversation_id, question_id, answer_id)


def note_trouble(history: History, problem: Problem | None) -> None:
    """Remember a problem of payment for all pages of an owner, or with None, its end."""
    history.db.execute("DELETE FROM trouble WHERE owner = ?", (history.owner,))
    if problem is not None:
        values = (history.owner, json.dumps(problem.as_json()), time.time())
        history.db.execute("INSERT INTO trouble VALUES (?, ?, ?)", values)


def stop_drafts(history: History) -> None:
    """Stop the answers under way. Other workers notice it when they save one or begin one."""
    history.db.execute(
        "UPDATE message SET state = 'stopped' WHERE state = 'writing' AND owner = ?",
        (history.owner,),
    )


def forget_old(db: sqlite3.Connection, keep_days: float) -> None:
    """Delete conversations unused for ``keep_days``, and amounts after a year, of all owners."""
    now = time.time()
    db.execute("DELETE FROM conversation WHERE updated_at < ?", (now - keep_days * _DAY,))
    db.execute("DELETE FROM trouble WHERE noted_at < ?", (now - _DAY,))
    db.execute(
        "DELETE FROM message WHERE conversation_id IS NULL AND touched_at < ?",
        (now - _AMOUNTS_KEPT,),
    )
