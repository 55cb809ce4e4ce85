"""Amounts: of money, of seconds."""

from __future__ import annotations

import math
from typing import Any, TypeGuard


def is_amount(value: Any) -> TypeGuard[float]:
    """Whether ``value`` is a finite number, zero or more. ``True`` is not a number here."""
    is_number = isinstance(value, (int, float)) and not isinstance(value, bool)
    return is_number and math.isfinite(value) and value >= 0
