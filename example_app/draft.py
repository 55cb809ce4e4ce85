"""An answer that is being written. It is saved regularly, and its cost is recorded at the end."""

from __future__ import annotations

import sqlite3
import time
from dataclasses import dataclass

from flask_openrouter.client import Usage

from . import money
from .database import Pool, transaction

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


@dataclass(frozen=True)
class Draft:
    """The stored answer and its owner. Used after the request, so it has the pool."""

    pool: Pool
    owner: str
    conversation_id: str
    answer_id: int
    model: str

    def save(self, text: str, thoughts: str) -> None:
        """Save what arrived, and show other workers that the answer is still being written."""
        with self.pool.connection() as db:
            self._write(db, text, thoughts, "writing", None, None)

    def finish(self, text: str, thoughts: str, state: str, usage: Usage | None) -> str:
        """Save the final text, record the cost, and return the conversation's cost in words.

        An empty answer is deleted, so that the question can be asked again. A cost that OpenRouter
        did not report is unknown (NULL), not 0.
        """
        spent = (usage.total_tokens, usage.cost) if usage else (None, None)
        with self.pool.connection() as db, transaction(db):
            if text or thoughts:
                self._write(db, text, thoughts, state, *spent)
            else:
                db.execute("DELETE FROM message WHERE id = ?", (self.answer_id,))
            if text or thoughts or usage:
                values = (self.owner, self.conversation_id, self.model, *spent, time.time())
                db.execute(
                    "INSERT INTO spending (owner, conversation_id, model, tokens, cost, spent_at)"
                    " VALUES (?, ?, ?, ?, ?, ?)",
                    values,
                )
            return cost_of(db, self.owner, self.conversation_id)

    def _write(self, db: sqlite3.Connection, *values: object) -> None:
        db.execute(
            "UPDATE message SET text = ?, thoughts = ?, state = ?, tokens = ?, cost = ?,"
            " touched_at = ? WHERE id = ?",
            (*values, time.time(), self.answer_id),
        )


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
