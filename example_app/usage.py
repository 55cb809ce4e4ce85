"""How to show spending: the app's own sums, and the extension's meter of the key."""

from __future__ import annotations

from datetime import timedelta

from flask import Blueprint, render_template

from flask_openrouter import requires_openrouter_key

from . import money, spending
from .database import get_database
from .pages import welcome
from .visitor import owner_id

#: The number of days in the chart.
DAYS = 30

bp = Blueprint("usage", __name__)


@bp.get("/usage")
@requires_openrouter_key(on_missing=welcome)
def index() -> str:
    """Show the chart, the same data as a table, and the models. The extension adds the meter."""
    db, owner, today = get_database(), owner_id(), spending.today()
    days = spending.by_day(db, owner, today, DAYS)
    return render_template(
        "usage.html",
        days=days,
        models=spending.by_model(db, owner, today - timedelta(days=DAYS - 1)),
        top=max(day.cost for day in days),
        total=sum(day.cost for day in days),
        tokens=sum(day.tokens for day in days),
        unpriced=sum(day.unpriced for day in days),
        dollars=money.dollars,
        sum_of=money.sum_of,
    )
