"""How to keep owners apart in plain SQL: each statement names the owner whose rows it reaches."""

from __future__ import annotations

import secrets
import sqlite3
import time
from dataclasses import dataclass, replace

from .database import erase_log, transaction

#: Most conversations of one owner. The one that is unused the longest is deleted first.
MAX_CONVERSATIONS = 100
#: Most messages of one conversation, including answers and earlier versions.
MAX_MESSAGES = 200
MAX_TITLE = 80
#: An answer that was not saved for this many seconds is no longer being written.
STALE_AFTER = 10.0

_DAY = 86_400.0
#: Amounts are kept for a year. The usage view shows a month.
_SPENDING_KEPT = 366 * _DAY


@dataclass(frozen=True)
class Conversation:
    """A conversation. ``model``: used last, or ``""``. ``updated_at``: Unix time in seconds."""

    id: str
    title: str
    model: str
    instructions: str
    updated_at: float


@dataclass(frozen=True)
class Message:
    """A message. ``thoughts`` to ``cost`` (USD) apply to answers (see schema.sql).

    ``versions``: the ids of the messages in its place, including its own.
    """

    id: int
    parent_id: int | None
    role: str
    text: str
    thoughts: str
    model: str
    state: str
    tokens: int | None
    cost: float | None
    chosen_at: float
    versions: tuple[int, ...] = ()


class History:
    """The conversations of ``owner``."""

    def __init__(self, db: sqlite3.Connection, owner: str) -> None:
        self.db = db
        self.owner = owner

    def conversations(self) -> list[Conversation]:
        """Return all conversations, the latest first."""
        rows = self.db.execute(
            "SELECT id, title, model, instructions, updated_at FROM conversation WHERE owner = ?"
            " ORDER BY updated_at DESC",
            (self.owner,),
        )
        return [Conversation(*row) for row in rows]

    def find(self, conversation_id: str) -> Conversation | None:
        """Return one of this owner's conversations, or None."""
        row = self.db.execute(
            "SELECT id, title, model, instructions, updated_at FROM conversation"
            " WHERE id = ? AND owner = ?",
            (conversation_id, self.owner),
        ).fetchone()
        return None if row is None else Conversation(*row)

    def messages(self, conversation_id: str) -> list[Message]:
        """Return the messages that are shown, the oldest first: of each, the version chosen last.

        An answer whose worker died counts as broken, and is shown only if there is no other.
        """
        versions: dict[int | None, list[Message]] = {}
        for row in self.db.execute(
            "SELECT message.id, parent_id, role, text, thoughts, message.model,"
            " iif(is_stale, 'broken', state), tokens, cost, iif(is_stale, -1, chosen_at)"
            " FROM (SELECT *, state = 'writing' AND touched_at < ? AS is_stale FROM message"
            " WHERE conversation_id = ?) AS message"
            " JOIN conversation ON conversation.id = conversation_id"
            " WHERE owner = ? ORDER BY message.id",
            (time.time() - STALE_AFTER, conversation_id, self.owner),
        ):
            message = Message(*row)
            versions.setdefault(message.parent_id, []).append(message)
        shown: list[Message] = []
        while found := versions.get(shown[-1].id if shown else None):
            chosen = max(found, key=lambda message: (message.chosen_at, message.id))
            shown.append(replace(chosen, versions=tuple(message.id for message in found)))
        return shown

    def choose_version(self, conversation_id: str, message_id: int) -> bool:
        """Show this version of a message. Return whether there is one."""
        cursor = self.db.execute(
            "UPDATE message SET chosen_at = ? WHERE id = ? AND conversation_id ="
            " (SELECT id FROM conversation WHERE id = ? AND owner = ?)",
            (time.time(), message_id, conversation_id, self.owner),
        )
        return cursor.rowcount == 1

    def count(self, conversation_id: str, state: str = "%") -> int:
        """Return the number of a conversation's messages in all versions, or in a live state."""
        (count,) = self.db.execute(
            "SELECT count(*) FROM message WHERE conversation_id = ? AND state LIKE ?"
            " AND (state != 'writing' OR touched_at >= ?)",
            (conversation_id, state, time.time() - STALE_AFTER),
        ).fetchone()
        return int(count)

    def is_writing(self, conversation_id: str) -> bool:
        """Whether an answer is being written in a conversation."""
        return self.count(conversation_id, "writing") > 0

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

    def change(self, conversation_id: str, column: str, value: str) -> None:
        """Change the ``title``, the ``model`` or the ``instructions`` of a conversation."""
        self.db.execute(
            f"UPDATE conversation SET {column} = ? WHERE id = ? AND owner = ?",  # noqa: S608
            (value, conversation_id, self.owner),
        )

    def delete(self, conversation_id: str) -> None:
        """Delete a conversation with its messages. Its cost stays in the usage view."""
        self.db.execute(
            "DELETE FROM conversation WHERE id = ? AND owner = ?", (conversation_id, self.owner)
        )
        erase_log(self.db)

    def delete_all(self) -> None:
        """Delete all data of this owner, including amounts."""
        with transaction(self.db):
            for table in ("conversation", "spending", "trouble"):
                self.db.execute(f"DELETE FROM {table} WHERE owner = ?", (self.owner,))  # noqa: S608
        erase_log(self.db)

    def add_turn(
        self, conversation_id: str, parent_id: int | None, question: str | None, model: str
    ) -> tuple[int | None, int]:
        """Add a question and an empty answer below a message, as the versions that are shown.

        ``question``: None if it already exists. Return the ids of both. Call this in a transaction.
        """
        question_id = None
        if question is not None:
            question_id = self._add(conversation_id, parent_id, "user", question, "", "done")
            parent_id = question_id
        answer_id = self._add(conversation_id, parent_id, "assistant", "", model, "writing")
        self.db.execute(
            "UPDATE conversation SET updated_at = ?, model = ? WHERE id = ? AND owner = ?",
            (time.time(), model, conversation_id, self.owner),
        )
        return question_id, answer_id

    def _add(self, *values: object) -> int:
        now = time.time()
        cursor = self.db.execute(
            "INSERT INTO message (conversation_id, parent_id, role, text, model, state, touched_at,"
            " chosen_at) VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
            (*values, now, now),
        )
        return cursor.lastrowid or 0


def forget_old(db: sqlite3.Connection, keep_days: float) -> None:
    """Delete conversations unused for ``keep_days``, and amounts after a year.

    This concerns all owners. It is cheap if there is nothing to delete.
    """
    now = time.time()
    db.execute("DELETE FROM conversation WHERE updated_at < ?", (now - keep_days * _DAY,))
    db.execute("DELETE FROM trouble WHERE touched_at < ?", (now - _DAY,))
    db.execute("DELETE FROM spending WHERE spent_at < ?", (now - _SPENDING_KEPT,))
