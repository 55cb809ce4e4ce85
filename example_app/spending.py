"""How to account for money: a record before it is spent, and sums that know what is unknown.

Days are UTC.
"""

from __future__ import annotations

import json
import sqlite3
import time
from dataclasses import dataclass
from datetime import date, datetime, timedelta, timezone
from typing import Any

from . import money
from .database import transaction


@dataclass(frozen=True)
class Day:
    """The tokens and the cost of one day. ``cost`` in USD, without ``unpriced`` answers."""

    date: date
    tokens: int
    cost: float
    unpriced: int

    @property
    def name(self) -> str:
        """The day for people, such as 7 March."""
        return f"{self.date.day} {self.date:%B}"

    @property
    def words(self) -> str:
        """The cost for people, such as $0.25."""
        return money.sum_of(self.cost, self.unpriced)


@dataclass(frozen=True)
class ModelSpending:
    """The answers, tokens and cost of one model. ``cost`` in USD, without ``unpriced`` answers."""

    model: str
    answers: int
    tokens: int
    cost: float
    unpriced: int

    @property
    def words(self) -> str:
        """The cost for people. A model that costs nothing is free."""
        return money.sum_of(self.cost, self.unpriced) if self.cost or self.unpriced else "free"


def begin(db: sqlite3.Connection, owner: str, model: str) -> int:
    """Record that OpenRouter is going to be asked. The cost is unknown until the end."""
    with transaction(db):
        cursor = db.execute(
            "INSERT INTO spending (owner, conversation_id, model, spent_at) VALUES (?, '', ?, ?)",
            (owner, model, time.time()),
        )
    return cursor.lastrowid or 0


def cancel(db: sqlite3.Connection, spending_id: int) -> None:
    """Remove the record of a question that was refused."""
    db.execute("DELETE FROM spending WHERE rowid = ?", (spending_id,))


def place(db: sqlite3.Connection, spending_id: int, conversation_id: str) -> bool:
    """Name the conversation of a question that OpenRouter accepted.

    Return False if the record is gone: the owner has deleted everything, or disconnected.
    """
    values = (conversation_id, spending_id)
    cursor = db.execute("UPDATE spending SET conversation_id = ? WHERE rowid = ?", values)
    return cursor.rowcount == 1


def note_trouble(db: sqlite3.Connection, owner: str, problem: dict[str, Any] | None) -> None:
    """Remember a problem of payment for all pages of an owner, or with None, its end."""
    db.execute("DELETE FROM trouble WHERE owner = ?", (owner,))
    if problem is not None:
        values = (owner, json.dumps(problem), time.time())
        db.execute("INSERT INTO trouble VALUES (?, ?, ?)", values)


def trouble_of(db: sqlite3.Connection, owner: str) -> dict[str, Any] | None:
    """Return the problem that kept the last question from being paid for, or None."""
    row = db.execute("SELECT problem FROM trouble WHERE owner = ?", (owner,)).fetchone()
    trouble: dict[str, Any] | None = json.loads(row["problem"]) if row else None
    return trouble


def today() -> date:
    """Return the current day in UTC."""
    return datetime.now(timezone.utc).date()


def _start_of(day: date) -> float:
    return datetime(day.year, day.month, day.day, tzinfo=timezone.utc).timestamp()


def by_day(db: sqlite3.Connection, owner: str, last: date, count: int) -> list[Day]:
    """Return ``count`` days up to ``last``, the oldest first, including days without answers."""
    first = last - timedelta(days=count - 1)
    rows = db.execute(
        "SELECT date(spent_at, 'unixepoch'), coalesce(sum(tokens), 0), coalesce(sum(cost), 0.0),"
        " count(*) - count(cost) FROM spending WHERE owner = ? AND spent_at >= ? GROUP BY 1",
        (owner, _start_of(first)),
    )
    found = {row[0]: tuple(row)[1:] for row in rows}
    days = [first + timedelta(days=i) for i in range(count)]
    return [Day(day, *found.get(day.isoformat(), (0, 0.0, 0))) for day in days]


def by_model(db: sqlite3.Connection, owner: str, first: date) -> list[ModelSpending]:
    """Return the spending since ``first``, the most expensive model first."""
    rows = db.execute(
        "SELECT model, count(*), coalesce(sum(tokens), 0), coalesce(sum(cost), 0.0),"
        " count(*) - count(cost) FROM spending"
        " WHERE owner = ? AND spent_at >= ? GROUP BY model ORDER BY 4 DESC, 2 DESC",
        (owner, _start_of(first)),
    )
    return [ModelSpending(*row) for row in rows]
