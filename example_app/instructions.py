"""How to send a system prompt: instructions for a whole conversation, in a table of their own."""

from __future__ import annotations

import sqlite3

#: Longest instructions, in characters.
MAX_INSTRUCTIONS = 4_000


def instructions_of(db: sqlite3.Connection, conversation_id: str) -> str:
    """Return the instructions of a conversation, or ``""``."""
    row = db.execute(
        "SELECT text FROM instructions WHERE conversation_id = ?", (conversation_id,)
    ).fetchone()
    return "" if row is None else row["text"]


def keep_instructions(db: sqlite3.Connection, conversation_id: str, text: str) -> None:
    """Store the instructions of a conversation."""
    db.execute("INSERT OR REPLACE INTO instructions VALUES (?, ?)", (conversation_id, text))
