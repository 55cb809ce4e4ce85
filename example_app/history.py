"""The conversations of one owner. Statements name the owner, so they reach no other's."""

from __future__ import annotations

import secrets
import sqlite3
import time
from collections.abc import Sequence
from dataclasses import dataclass

from .database import erase_log, transaction

#: Most conversations of one owner. The one that is unused the longest is deleted first.
MAX_CONVERSATIONS = 100
#: Most messages of one conversation, including answers.
MAX_MESSAGES = 200
MAX_TITLE = 80
#: An answer that was not saved for this many seconds is no longer being written.
STALE_AFTER = 10.0

_DAY = 86_400.0
#: Amounts are kept for a year. The usage view shows a month.
_SPENDING_KEPT = 366 * _DAY


@dataclass(frozen=True)
class Conversation:
    """A conversation. ``updated_at``: Unix time in seconds."""

    id: str
    title: str
    updated_at: float


@dataclass(frozen=True)
class Message:
    """A message. ``state`` and later fields apply to answers (see schema.sql); ``cost`` in USD."""

    id: int
    role: str
    text: str
    thoughts: str
    model: str
    state: str
    tokens: int | None
    cost: float | None


class History:
    """The conversations of ``owner``."""

    def __init__(self, db: sqlite3.Connection, owner: str) -> None:
        self.db = db
        self.owner = owner

    def conversations(self) -> list[Conversation]:
        """Return all conversations, the latest first."""
        rows = self.db.execute(
            "SELECT id, title, updated_at FROM conversation WHERE owner = ?"
            " ORDER BY updated_at DESC",
            (self.owner,),
        )
        return [Conversation(*row) for row in rows]

    def find(self, conversation_id: str) -> Conversation | None:
        """Return one of this owner's conversations, or None."""
        row = self.db.execute(
            "SELECT id, title, updated_at FROM conversation WHERE id = ? AND owner = ?",
            (conversation_id, self.owner),
        ).fetchone()
        return None if row is None else Conversation(*row)

    def messages(self, conversation_id: str) -> list[Message]:
        """Return the messages of a conversation, the oldest first."""
        rows = self.db.execute(
            "SELECT message.id, role, text, thoughts, model,"
            " CASE WHEN state = 'writing' AND touched_at < ?"
            " THEN 'broken' ELSE state END, tokens, cost"
            " FROM message JOIN conversation ON conversation.id = conversation_id"
            " WHERE conversation_id = ? AND owner = ? ORDER BY message.id",
            (time.time() - STALE_AFTER, conversation_id, self.owner),
        )
        return [Message(*row) for row in rows]

    def is_writing(self, conversation_id: str) -> bool:
        """Whether an answer is being written in a conversation."""
        row = self.db.execute(
            "SELECT 1 FROM message WHERE conversation_id = ? AND state = 'writing'"
            " AND touched_at >= ?",
            (conversation_id, time.time() - STALE_AFTER),
        ).fetchone()
        return row is not None

    def create(self, title: str) -> str:
        """Create a conversation and return its id. Delete old ones if there are too many."""
        conversation_id = secrets.token_urlsafe(12)
        self.db.execute(
            "DELETE FROM conversation WHERE id IN (SELECT id FROM conversation WHERE owner = ?"
            " ORDER BY updated_at DESC LIMIT -1 OFFSET ?)",
            (self.owner, MAX_CONVERSATIONS - 1),
        )
        self.db.execute(
            "INSERT INTO conversation (id, owner, title, updated_at) VALUES (?, ?, ?, ?)",
            (conversation_id, self.owner, title[:MAX_TITLE], time.time()),
        )
        return conversation_id

    def rename(self, conversation_id: str, title: str) -> None:
        """Change the title of a conversation."""
        self.db.execute(
            "UPDATE conversation SET title = ? WHERE id = ? AND owner = ?",
            (title[:MAX_TITLE], conversation_id, self.owner),
        )

    def delete(self, conversation_id: str) -> None:
        """Delete a conversation with its messages. Its cost stays in the usage view."""
        self.db.execute(
            "DELETE FROM conversation WHERE id = ? AND owner = ?", (conversation_id, self.owner)
        )
        erase_log(self.db)

    def delete_all(self) -> None:
        """Delete all data of this owner, including amounts and the chosen model."""
        with transaction(self.db):
            self.db.execute("DELETE FROM conversation WHERE owner = ?", (self.owner,))
            self.db.execute("DELETE FROM spending WHERE owner = ?", (self.owner,))
            self.db.execute("DELETE FROM preference WHERE owner = ?", (self.owner,))
        erase_log(self.db)

    def add_turn(
        self, conversation_id: str, removed: Sequence[int], question: str | None, model: str
    ) -> tuple[int | None, int]:
        """Delete the ``removed`` messages, and add a question and an empty answer.

        ``question``: None if it already exists. Return the ids of both. Call this in a transaction.
        """
        now = time.time()
        self.db.executemany(
            "DELETE FROM message WHERE id = ? AND conversation_id = ?",
            [(message_id, conversation_id) for message_id in removed],
        )
        question_id = None
        if question is not None:
            question_id = self._add(conversation_id, "user", question, "", "done", now)
        answer_id = self._add(conversation_id, "assistant", "", model, "writing", now)
        self.db.execute(
            "UPDATE conversation SET updated_at = ? WHERE id = ? AND owner = ?",
            (now, conversation_id, self.owner),
        )
        return question_id, answer_id

    def _add(self, *values: object) -> int:
        cursor = self.db.execute(
            "INSERT INTO message (conversation_id, role, text, model, state, touched_at)"
            " VALUES (?, ?, ?, ?, ?, ?)",
            values,
        )
        return cursor.lastrowid or 0

    def chosen_model(self) -> tuple[str, str] | None:
        """Return the id and name of the last chosen model, or None."""
        row = self.db.execute(
            "SELECT model, model_name FROM preference WHERE owner = ?", (self.owner,)
        ).fetchone()
        return None if row is None else (row["model"], row["model_name"])

    def recent_models(self) -> list[str]:
        """Return the ids of the models used or chosen last, the latest first."""
        rows = self.db.execute(
            "SELECT model FROM (SELECT model, spent_at AS at FROM spending WHERE owner = :owner"
            " UNION ALL SELECT model, touched_at FROM preference WHERE owner = :owner)"
            " GROUP BY model ORDER BY max(at) DESC LIMIT 5",
            {"owner": self.owner},
        )
        return [row["model"] for row in rows]

    def choose_model(self, model: str, name: str) -> None:
        """Remember the model for the next visit."""
        self.db.execute(
            "INSERT INTO preference VALUES (?, ?, ?, ?) ON CONFLICT (owner) DO UPDATE"
            " SET model = excluded.model, model_name = excluded.model_name,"
            " touched_at = excluded.touched_at",
            (self.owner, model, name, time.time()),
        )


def forget_old(db: sqlite3.Connection, keep_days: float) -> None:
    """Delete conversations and choices unused for ``keep_days``, and amounts after a year.

    This concerns all owners. It is cheap if there is nothing to delete.
    """
    now = time.time()
    oldest = now - keep_days * _DAY
    db.execute("DELETE FROM conversation WHERE updated_at < ?", (oldest,))
    db.execute("DELETE FROM preference WHERE touched_at < ?", (oldest,))
    db.execute("DELETE FROM spending WHERE spent_at < ?", (now - _SPENDING_KEPT,))
