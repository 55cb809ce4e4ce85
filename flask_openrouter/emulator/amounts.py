"""Amounts: of money, of seconds."""

from __future__ import annotations

import math
from typing import Any, TypeGuard


def is_amount(value: Any) -> TypeGuard[float]:
    """Whether ``value`` is a finite number, zero or more. ``True`` is not a number here."""
    is_number = isinstance(value, (int, float)) and not isinstance(value, bool)
    return is_number and math.isfinite(value) and value >= 0


def in_usd(amount: float) -> str:
    """Return an amount for people, such as ``$5.00``, or ``$0.0005`` where cents hide it."""
    rounded = round(amount, 2)
    return f"${rounded:,.2f}" if rounded == amount else f"${amount:,.10g}"
