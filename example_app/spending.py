"""Sums of what one owner has spent, from the table ``spending``. Days are UTC."""

from __future__ import annotations

import sqlite3
from dataclasses import dataclass
from datetime import date, datetime, timedelta, timezone

from . import money


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
        return money.dollars(self.cost)


@dataclass(frozen=True)
class ModelSpending:
    """The answers, tokens and cost of one model. ``cost`` in USD, None if it is unknown."""

    model: str
    answers: int
    tokens: int
    cost: float | None


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
        "SELECT model, count(*), coalesce(sum(tokens), 0), sum(cost) FROM spending"
        " WHERE owner = ? AND spent_at >= ? GROUP BY model ORDER BY 4 DESC, 2 DESC",
        (owner, _start_of(first)),
    )
    return [ModelSpending(*row) for row in rows]
