"""How to save an answer while it is written, so that no text and no cost is lost."""

from __future__ import annotations

import sqlite3
import time
from dataclasses import dataclass

from flask_openrouter.client import Usage

from . import money
from .database import Pool, transaction
from .spending import note_trouble

#: Notes below an answer that is not complete.
_NOTES = {
    "writing": "Still being written",
    "cut": "Cut at the length limit",
    "stopped": "Stopped",
    "broken": "Broken off",
    "filtered": "Cut off by a content filter",
    "refused": "The model refused to answer",
    "thought": "Used all its tokens for thinking",
    "unsaid": "Thought, but gave no answer",
}


#: The states of an answer that takes the place of an earlier version.
_WHOLE = {"done", "cut"}


@dataclass(frozen=True)
class Draft:
    """The stored answer and its owner. Used after the request, so it has the pool.

    ``question_id``: None if the question existed before.
    """

    pool: Pool
    owner: str
    conversation_id: str
    question_id: int | None
    answer_id: int
    spending_id: int

    def save(self, text: str, thoughts: str) -> bool:
        """Save what arrived, and show other workers that the answer is still being written.

        Return whether to go on: not if the answer was deleted, or stopped by a disconnect.
        """
        with self.pool.connection() as db, transaction(db):
            return self._write(db, text, thoughts, "writing", None, None)

    def finish(
        self,
        text: str,
        thoughts: str,
        state: str,
        usage: Usage | None,
        trouble: dict[str, object] | None = None,
    ) -> str:
        """Save the final text, record the cost, and return the conversation's cost in words.

        An empty answer is deleted, so that the question can be asked again. One that is not whole
        leaves the earlier version in its place. A cost that OpenRouter did not report is unknown
        (NULL), not 0. Nothing is written of what the owner has deleted meanwhile.
        """
        spent = (usage.total_tokens, usage.cost) if usage else (None, None)
        with self.pool.connection() as db, transaction(db):
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
                    "UPDATE spending SET tokens = ?, cost = ?, spent_at = ? WHERE rowid = ?",
                    (*spent, time.time(), self.spending_id),
                )
            else:
                done = db.execute("DELETE FROM spending WHERE rowid = ?", (self.spending_id,))
            if trouble is not None and done.rowcount:
                note_trouble(db, self.owner, trouble)
            return cost_of(db, self.owner, self.conversation_id)

    def _write(self, db: sqlite3.Connection, *values: object) -> bool:
        _, _, state, *_ = values
        cursor = db.execute(
            "UPDATE message SET text = ?, thoughts = ?, state = ?, tokens = ?, cost = ?,"
            " touched_at = ? WHERE id = ? AND (state = 'writing' OR ? != 'writing')",
            (*values, time.time(), self.answer_id, state),
        )
        return cursor.rowcount == 1


def stop_drafts(db: sqlite3.Connection, owner: str) -> None:
    """Stop the answers under way. Other workers notice it when they save one or begin one."""
    with transaction(db):
        db.execute(
            "UPDATE message SET state = 'stopped' WHERE state = 'writing' AND conversation_id"
            " IN (SELECT id FROM conversation WHERE owner = ?)",
            (owner,),
        )
        db.execute("DELETE FROM spending WHERE owner = ? AND conversation_id = ''", (owner,))


def cost_of(db: sqlite3.Connection, owner: str, conversation_id: str) -> str:
    """Return the cost of a conversation in words, including replaced answers."""
    answers, priced, tokens, cost = db.execute(
        "SELECT count(*), count(cost), sum(tokens), sum(cost) FROM spending"
        " WHERE owner = ? AND conversation_id = ?",
        (owner, conversation_id),
    ).fetchone()
    if not answers:
        return ""
    words = money.summary(tokens, cost)
    return f"{words} · not all prices reported" if 0 < priced < answers else words


def note_of(state: str, tokens: int | None, cost: float | None) -> str:
    """Return the note below an answer: how it ended and what it cost."""
    # OpenRouter reports the price at the very end.
    price = "" if state == "writing" else money.summary(tokens, cost)
    return " · ".join(filter(None, [_NOTES.get(state, ""), price]))
