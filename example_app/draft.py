"""An answer that is being written. It is saved regularly, and its cost is recorded at the end."""

from __future__ import annotations

import sqlite3
import time
from dataclasses import dataclass

from . import money
from .database import Pool, transaction
from .upstream import Usage

#: Notes below an answer that is not complete.
_NOTES = {
    "writing": "Still being written",
    "cut": "Cut at the length limit",
    "stopped": "Stopped",
    "broken": "Broken off",
}


@dataclass(frozen=True)
class Draft:
    """The stored answer and its owner. Used after the request, so it has the pool."""

    pool: Pool
    owner: str
    conversation_id: str
    answer_id: int
    model: str

    def save(self, text: str) -> None:
        """Save the text so far, and show other workers that the answer is still being written."""
        with self.pool.connection() as db:
            self._write(db, text, "writing", None)

    def finish(self, text: str, state: str, usage: Usage | None) -> str:
        """Save the final text, record the cost, and return the conversation's cost in words.

        An empty answer is deleted, so that the question can be asked again.
        """
        with self.pool.connection() as db, transaction(db):
            if text:
                self._write(db, text, state, usage)
            else:
                db.execute("DELETE FROM message WHERE id = ?", (self.answer_id,))
            if usage is not None:
                db.execute(
                    "INSERT INTO spending (owner, conversation_id, model, tokens, cost, spent_at)"
                    " VALUES (?, ?, ?, ?, ?, ?)",
                    (
                        self.owner,
                        self.conversation_id,
                        self.model,
                        usage.tokens,
                        usage.cost,
                        time.time(),
                    ),
                )
            return cost_of(db, self.owner, self.conversation_id)

    def _write(self, db: sqlite3.Connection, text: str, state: str, usage: Usage | None) -> None:
        tokens, cost = (usage.tokens, usage.cost) if usage else (None, None)
        db.execute(
            "UPDATE message SET text = ?, state = ?, tokens = ?, cost = ?, touched_at = ?"
            " WHERE id = ?",
            (text, state, tokens, cost, time.time(), self.answer_id),
        )


def cost_of(db: sqlite3.Connection, owner: str, conversation_id: str) -> str:
    """Return the cost of a conversation in words, including replaced answers."""
    tokens, cost = db.execute(
        "SELECT sum(tokens), sum(cost) FROM spending WHERE owner = ? AND conversation_id = ?",
        (owner, conversation_id),
    ).fetchone()
    return money.summary(tokens, cost)


def note_of(state: str, tokens: int | None, cost: float | None) -> str:
    """Return the note below an answer: how it ended and what it cost."""
    parts = [_NOTES.get(state, ""), money.summary(tokens, cost)]
    if state in ("stopped", "broken") and cost is None:
        # OpenRouter reports the price at the very end, which this answer did not reach.
        parts.append("price not reported")
    return " · ".join(filter(None, parts))
