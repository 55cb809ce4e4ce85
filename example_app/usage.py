"""How to show spending: the app's own sums, and the extension's meter of the key."""

from collections.abc import Callable
from datetime import date
from typing import Any

from flask import Blueprint, render_template

from flask_openrouter import requires_openrouter_key

from . import money
from .database import get_database
from .models import model_name
from .pages import welcome
from .visitor import owner_id

bp = Blueprint("usage", __name__)

#: A row for each of 30 days (UTC), the oldest first, including those without answers.
_BY_DAY = """
    WITH RECURSIVE day (date) AS (
      VALUES (date('now', '-29 days'))
      UNION ALL SELECT date(date, '+1 day') FROM day WHERE date < date('now')
    )
    SELECT date AS name, coalesce(sum(tokens), 0) AS tokens, coalesce(sum(cost), 0.0) AS cost,
      count(id) - count(cost) AS unpriced
    FROM day LEFT JOIN message
      ON owner = ? AND role = 'assistant' AND date(touched_at, 'unixepoch') = date
    GROUP BY date ORDER BY date
"""
#: A row for each model in these days, the most expensive first.
_BY_MODEL = """
    SELECT model AS name, count(*) AS answers, coalesce(sum(tokens), 0) AS tokens,
      coalesce(sum(cost), 0.0) AS cost, count(*) - count(cost) AS unpriced
    FROM message WHERE owner = ? AND role = 'assistant'
      AND date(touched_at, 'unixepoch') >= date('now', '-29 days')
    GROUP BY model ORDER BY cost DESC, answers DESC
"""


@bp.get("/usage")
@requires_openrouter_key(on_missing=welcome)
def index() -> str:
    """Show the chart, the same data as a table, and the models. The extension adds the meter."""
    days = _spent(_BY_DAY, lambda day: f"{date.fromisoformat(day):%d %B}".lstrip("0"))
    return render_template(
        "usage.html",
        days=days,
        models=_spent(_BY_MODEL, model_name),
        top=max(day["cost"] for day in days),
        total=sum(day["cost"] for day in days),
        tokens=sum(day["tokens"] for day in days),
        unpriced=sum(day["unpriced"] for day in days),
        dollars=money.dollars,
        sum_of=money.sum_of,
    )


def _spent(query: str, name_of: Callable[[str], str]) -> list[dict[str, Any]]:
    """Return the rows, with names and amounts for people. Sums are without unpriced answers."""
    spent = [dict(row) for row in get_database().execute(query, (owner_id(),))]
    for row in spent:
        row["name"] = name_of(row["name"])
        row["words"] = money.sum_of(row["cost"], row["unpriced"])
    return spent
