"""How to show spending: the app's own sums, and the extension's meter of the key."""

from dataclasses import dataclass
from datetime import date

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
    SELECT date, count(id), coalesce(sum(tokens), 0), coalesce(sum(cost), 0.0),
      count(id) - count(cost)
    FROM day LEFT JOIN message
      ON owner = ? AND role = 'assistant' AND date(touched_at, 'unixepoch') = date
    GROUP BY date ORDER BY date
"""
#: A row for each model in these days, the most expensive first.
_BY_MODEL = """
    SELECT model, count(*), coalesce(sum(tokens), 0), coalesce(sum(cost), 0.0),
      count(*) - count(cost)
    FROM message WHERE owner = ? AND role = 'assistant'
      AND date(touched_at, 'unixepoch') >= date('now', '-29 days')
    GROUP BY model ORDER BY 4 DESC, 2 DESC
"""


@dataclass(frozen=True)
class Spent:
    """What a day or a model has cost, in USD, without ``unpriced`` answers."""

    name: str
    answers: int
    tokens: int
    cost: float
    unpriced: int

    @property
    def words(self) -> str:
        """The cost for people, such as $0.25."""
        return money.sum_of(self.cost, self.unpriced)


@bp.get("/usage")
@requires_openrouter_key(on_missing=welcome)
def index() -> str:
    """Show the chart, the same data as a table, and the models. The extension adds the meter."""
    db, owner = get_database(), (owner_id(),)
    days = [Spent(_name_of(day), *sums) for day, *sums in db.execute(_BY_DAY, owner)]
    models = [Spent(model_name(id), *sums) for id, *sums in db.execute(_BY_MODEL, owner)]
    return render_template(
        "usage.html",
        days=days,
        models=models,
        top=max(day.cost for day in days),
        total=sum(day.cost for day in days),
        tokens=sum(day.tokens for day in days),
        unpriced=sum(day.unpriced for day in days),
        dollars=money.dollars,
        sum_of=money.sum_of,
    )


def _name_of(day: str) -> str:
    parsed = date.fromisoformat(day)
    return f"{parsed.day} {parsed:%B}"
