"""How to write amounts in USD: unknown is not zero, and most answers cost less than a cent."""

import math


def dollars(amount: float) -> str:
    """Return an amount with cents, or with two significant digits below one cent."""
    if amount <= 0:
        return "$0"
    if amount >= 0.01:
        return f"${amount:,.2f}"
    return f"${amount:.{1 - math.floor(math.log10(amount))}f}".rstrip("0")


def sum_of(cost: float, unpriced: int) -> str:
    """Return a sum in words, if ``unpriced`` answers are not in it."""
    if not unpriced:
        return dollars(cost)
    return f"at least {dollars(cost)}" if cost else "not reported"


def summary(tokens: int | None, cost: float | None) -> str:
    """Return ``$0.0012 · 1,234 tokens``. None: OpenRouter did not report it."""
    price = "price not reported" if cost is None else dollars(cost) if cost else "free"
    if tokens is None:
        return price
    return f"{price} · {tokens:,} token{'' if tokens == 1 else 's'}"
