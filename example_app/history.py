"""The conversations of one owner. Every statement names the owner, so none can reach another's."""

from __future__ import annotations

import secrets
import sqlite3
import time
from collections.abc import Sequence
from dataclasses import dataclass

from .database import erase_log, transaction

#: Conversations kept for one owner; the one that was left alone the longest makes room.
MAX_CONVERSATIONS = 100
#: Messages of one conversation, answers included.
MAX_MESSAGES = 200
MAX_TITLE = 80
#: An answer that is being written is touched more often than this, in seconds.
STALE_AFTER = 10.0

_DAY = 86_400.0
#: The usage view looks back for a month; a year is kept.
_SPENDING_KEPT = 366 * _DAY


@dataclass(frozen=True)
class Conversation:
    """``updated_at``: Unix time in seconds."""

    id: str
    title: str
    updated_at: float


@dataclass(frozen=True)
class Message:
    """``state`` and what follows is of an answer (see schema.sql); ``cost`` in USD."""

    id: int
    role: str
    text: str
    model: str
    state: str
    tokens: int | None
    cost: float | None


class History:
    """Reads and writes the conversations of ``owner``."""

    def __init__(self, db: sqlite3.Connection, owner: str) -> None:
        self.db = db
        self.owner = owner

    def conversations(self) -> list[Conversation]:
        """Return all, the latest first."""
        rows = self.db.execute(
            "SELECT id, title, updated_at FROM conversation WHERE owner = ?"
            " ORDER BY updated_at DESC",
            (self.owner,),
        )
        return [Conversation(*row) for row in rows]

    def find(self, conversation_id: str) -> Conversation | None:
        """Return one of this owner's, or None."""
        row = self.db.execute(
            "SELECT id, title, updated_at FROM conversation WHERE id = ? AND owner = ?",
            (conversation_id, self.owner),
        ).fetchone()
        return None if row is None else Conversation(*row)

    def messages(self, conversation_id: str) -> list[Message]:
        """Return the messages, the oldest first."""
        rows = self.db.execute(
            "SELECT message.id, role, text, model, CASE WHEN state = 'writing' AND touched_at < ?"
            " THEN 'broken' ELSE state END, tokens, cost"
            " FROM message JOIN conversation ON conversation.id = conversation_id"
            " WHERE conversation_id = ? AND owner = ? ORDER BY message.id",
            (time.time() - STALE_AFTER, conversation_id, self.owner),
        )
        return [Message(*row) for row in rows]

    def is_writing(self, conversation_id: str) -> bool:
        """Whether an answer is under way in a conversation."""
        row = self.db.execute(
            "SELECT 1 FROM message WHERE conversation_id = ? AND state = 'writing'"
            " AND touched_at >= ?",
            (conversation_id, time.time() - STALE_AFTER),
        ).fetchone()
        return row is not None

    def create(self, title: str) -> str:
        """Return the id of a new conversation. Makes room first."""
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
        """Give another title."""
        self.db.execute(
            "UPDATE conversation SET title = ? WHERE id = ? AND owner = ?",
            (title[:MAX_TITLE], conversation_id, self.owner),
        )

    def delete(self, conversation_id: str) -> None:
        """Delete a conversation with its messages. What it cost stays in the usage view."""
        self.db.execute(
            "DELETE FROM conversation WHERE id = ? AND owner = ?", (conversation_id, self.owner)
        )
        erase_log(self.db)

    def delete_all(self) -> None:
        """Delete all that is known of this owner, the amounts and the chosen model included."""
        with transaction(self.db):
            self.db.execute("DELETE FROM conversation WHERE owner = ?", (self.owner,))
            self.db.execute("DELETE FROM spending WHERE owner = ?", (self.owner,))
            self.db.execute("DELETE FROM preference WHERE owner = ?", (self.owner,))
        erase_log(self.db)

    def add_turn(
        self, conversation_id: str, removed: Sequence[int], question: str | None, model: str
    ) -> tuple[int | None, int]:
        """Take these messages out, add a question (None: there is one) and an empty answer.

        Return the ids of the two. Belongs into a transaction.
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
        """Return the id and name of the model that was chosen last, or None."""
        row = self.db.execute(
            "SELECT model, model_name FROM preference WHERE owner = ?", (self.owner,)
        ).fetchone()
        return None if row is None else (row["model"], row["model_name"])

    def choose_model(self, model: str, name: str) -> None:
        """Remember the model for the next visit."""
        self.db.execute(
            "INSERT INTO preference VALUES (?, ?, ?, ?) ON CONFLICT (owner) DO UPDATE"
            " SET model = excluded.model, model_name = excluded.model_name,"
            " touched_at = excluded.touched_at",
            (self.owner, model, name, time.time()),
        )


def forget_old(db: sqlite3.Connection, keep_days: float) -> None:
    """Delete what nobody wrote in for ``keep_days``, whoever owned it. Cheap when there is none."""
    now = time.time()
    oldest = now - keep_days * _DAY
    db.execute("DELETE FROM conversation WHERE updated_at < ?", (oldest,))
    db.execute("DELETE FROM preference WHERE touched_at < ?", (oldest,))
    db.execute("DELETE FROM spending WHERE spent_at < ?", (now - _SPENDING_KEPT,))
