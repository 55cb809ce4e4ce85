"""How to keep owners apart in plain SQL: each statement names the owner whose rows it reaches."""

import json
import sqlite3
import time
from typing import Any

from . import money
from .database import transaction

#: An answer that was not saved for this many seconds is no longer being written.
STALE_AFTER = 30.0

#: Notes below an answer that is not complete, by its state.
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


class History:
    """The conversations of ``owner``. Their columns are in schema.sql."""

    def __init__(self, db: sqlite3.Connection, owner: str) -> None:
        self.db = db
        self.owner = owner

    def conversations(self) -> list[sqlite3.Row]:
        """Return all conversations, the latest first."""
        query = "SELECT * FROM conversation WHERE owner = ? ORDER BY updated_at DESC"
        return self.db.execute(query, (self.owner,)).fetchall()

    def find(self, conversation_id: str) -> sqlite3.Row | None:
        """Return one of this owner's conversations, or None."""
        return next((c for c in self.conversations() if c["id"] == conversation_id), None)

    def messages(self, conversation_id: str) -> list[dict[str, Any]]:
        """Return the messages that are shown, the oldest first: of each, the version chosen last.

        ``versions`` has the ids of all. An answer whose worker died counts as broken, and is shown
        only if there is no other.
        """
        rows = self.db.execute(
            "SELECT id, parent_id, role, text, thoughts, model, iif(is_stale, 'broken', state)"
            " AS state, tokens, cost, iif(is_stale, -1, chosen_at) AS chosen_at"
            " FROM (SELECT *, state = 'writing' AND touched_at < ? AS is_stale FROM message)"
            " WHERE conversation_id = ? AND owner = ?"
            " AND (text != '' OR thoughts != '' OR state = 'writing') ORDER BY id",
            (time.time() - STALE_AFTER, conversation_id, self.owner),
        )
        children: dict[int | None, list[dict[str, Any]]] = {}
        for row in rows:
            children.setdefault(row["parent_id"], []).append(dict(row))
        shown: list[dict[str, Any]] = []
        while found := children.get(shown[-1]["id"] if shown else None):
            chosen = max(found, key=lambda message: (message["chosen_at"], message["id"]))
            shown.append({**chosen, "versions": [message["id"] for message in found]})
        return shown

    def is_writing(self, conversation_id: str) -> bool:
        """Whether an answer is being written in a conversation."""
        return any(m["state"] == "writing" for m in self.messages(conversation_id))

    def change(self, conversation_id: str, column: str, value: str) -> None:
        """Change the ``title``, the ``model`` or the ``instructions`` of a conversation."""
        self.db.execute(
            f"UPDATE conversation SET {column} = ? WHERE id = ? AND owner = ?",  # noqa: S608
            (value, conversation_id, self.owner),
        )

    def choose_version(self, conversation_id: str, message_id: int) -> bool:
        """Show this version of a message. Return whether there is one."""
        cursor = self.db.execute(
            "UPDATE message SET chosen_at = ? WHERE id = ? AND conversation_id = ? AND owner = ?",
            (time.time(), message_id, conversation_id, self.owner),
        )
        return cursor.rowcount == 1

    def delete(self, conversation_id: str) -> None:
        """Delete a conversation with its messages. Its cost stays in the usage view."""
        self.db.execute(
            "DELETE FROM conversation WHERE id = ? AND owner = ?", (conversation_id, self.owner)
        )
        self._erase_log()

    def delete_all(self) -> None:
        """Delete all data of this owner, including amounts."""
        with transaction(self.db):
            for table in ("conversation", "message", "trouble"):
                self.db.execute(f"DELETE FROM {table} WHERE owner = ?", (self.owner,))  # noqa: S608
        self._erase_log()

    def _erase_log(self) -> None:
        # Deleted data could still be read in the write-ahead log.
        self.db.execute("PRAGMA wal_checkpoint(TRUNCATE)")

    def cost_of(self, conversation_id: str) -> str:
        """Return the cost of a conversation in words, including replaced answers."""
        answers, priced, tokens, cost = self.db.execute(
            "SELECT count(*), count(cost), sum(tokens), sum(cost) FROM message"
            " WHERE owner = ? AND conversation_id = ? AND role = 'assistant'",
            (self.owner, conversation_id),
        ).fetchone()
        if not answers:
            return ""
        words = money.summary(tokens, cost)
        return f"{words} · not all prices reported" if 0 < priced < answers else words

    def trouble(self) -> dict[str, Any] | None:
        """Return the problem that kept the last question from being paid for, or None."""
        query = "SELECT problem FROM trouble WHERE owner = ?"
        row = self.db.execute(query, (self.owner,)).fetchone()
        return json.loads(row["problem"]) if row else None


def note_of(state: str, tokens: int | None, cost: float | None) -> str:
    """Return the note below an answer: how it ended and what it cost."""
    # OpenRouter reports the price at the very end.
    price = "" if state == "writing" else money.summary(tokens, cost)
    return " · ".join(filter(None, [_NOTES.get(state, ""), price]))
