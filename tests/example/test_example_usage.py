"""The usage view: figures, the chart and the table."""

from __future__ import annotations

import re
import time

import pytest
from chat_visitor import ChatVisitor, answered

from example_app import money
from example_app.database import opened


def rects(page: str) -> list[tuple[float, str]]:
    found = re.findall(r'<rect[^>]*height="([\d.]+)"><title>([^<]*)</title>', page)
    return [(float(height), title) for height, title in found]


def test_an_empty_month_is_explained(connected: ChatVisitor) -> None:
    page = connected.get("/usage").text
    assert rects(page) == []
    assert "Nothing was spent" in page
    assert "$5.00 left" in page, "the extension's meter"


def test_spending_is_in_the_chart_and_the_table(connected: ChatVisitor, other: ChatVisitor) -> None:
    for cost in (0.25, 0.5):
        with connected.emulator.faults(**answered("hi", cost=cost, tokens=1000)):
            connected.ask()
    with other.emulator.faults(**answered("hi", cost=3)):
        other.ask()
    with opened(connected.app.config["CHAT_DATABASE"]) as db:
        db.execute("UPDATE message SET touched_at = ? WHERE cost = 0.5", (time.time() - 86_400,))
    page = connected.get("/usage").text
    (yesterday, yesterday_title), (today, today_title) = rects(page)
    assert today / yesterday == pytest.approx(0.5)
    assert today_title.endswith(": $0.25")
    assert yesterday_title.endswith(": $0.50")
    assert page.count('<td class="number">$0.25</td>') == 1
    assert "<dd>$0.75</dd>" in page
    assert "$3.00" not in page
    assert 'role="img"' in page
    assert "GPT-4o-mini" in page or "openai/gpt-4o-mini" in page


def test_the_chart_omits_spending_older_than_a_month(connected: ChatVisitor) -> None:
    with connected.emulator.faults(**answered("hi", cost=0.25)):
        connected.ask()
    with opened(connected.app.config["CHAT_DATABASE"]) as db:
        db.execute("UPDATE message SET touched_at = touched_at - 30 * 86400")
        assert rects(connected.get("/usage").text) == []
        db.execute("UPDATE message SET touched_at = touched_at + 86400")
        assert len(rects(connected.get("/usage").text)) == 1


def test_small_amounts_keep_two_digits_and_one_token_is_singular() -> None:
    for amount, words in {
        0: "$0",
        1234.5: "$1,234.50",
        0.1: "$0.10",
        0.01: "$0.01",
        0.009: "$0.009",
        0.0012345: "$0.0012",
        0.00001234: "$0.000012",
    }.items():
        assert money.dollars(amount) == words
    assert money.summary(1, 0.5) == "$0.50 · 1 token"
    assert money.summary(None, None) == "price not reported"
    assert money.summary(7, None) == "price not reported · 7 tokens"
    assert money.summary(7, 0) == "free · 7 tokens"
