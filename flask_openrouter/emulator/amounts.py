"""Amounts of money and of seconds."""

from __future__ import annotations

import sys
from typing import Any, TypeGuard

#: Largest amount of money, in USD.
MAX_USD = 1_000_000_000
#: Longest delay, in seconds. A thread cannot wait for much longer than 292 years.
MAX_DELAY = 86_400.0


def is_usd(value: Any) -> TypeGuard[float]:
    """Whether ``value`` is an amount of money: a number from zero to :data:`MAX_USD`."""
    return is_amount(value) and value <= MAX_USD


def is_delay(value: Any) -> TypeGuard[float]:
    """Whether ``value`` is a time to wait: a number from zero to :data:`MAX_DELAY`."""
    return is_amount(value) and value <= MAX_DELAY


def is_amount(value: Any) -> TypeGuard[float]:
    """Whether ``value`` is a finite number, zero or more. ``True`` is not a number here."""
    if not isinstance(value, (int, float)) or isinstance(value, bool):
        return False
    # isfinite() fails for an integer that does not fit into a float.
    return 0 <= value <= sys.float_info.max


def in_usd(amount: float) -> str:
    """Return an amount for people, such as ``$5.00``, or ``$0.0005`` where cents hide it."""
    rounded = round(amount, 2)
    return f"${rounded:,.2f}" if rounded == amount else f"${amount:,.10g}"
