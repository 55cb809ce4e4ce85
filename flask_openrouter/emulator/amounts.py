"""Amounts of money and of seconds."""

from __future__ import annotations

import sys
from typing import Any, TypeGuard


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
