"""Values of settings, as Python and environments write them."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from datetime import timedelta
from decimal import Decimal
from typing import Any, Final, cast

from ..errors import ConfigurationError

_HUGE: Final = 10**12
_NUMBER: Final = re.compile(r"[+-]?[0-9]{1,12}(\.[0-9]{0,12})?")
_YES: Final = ("1", "true", "yes", "on")
_NO: Final = ("0", "false", "no", "off")


def given(config: Mapping[str, Any], name: str) -> Any:
    """Return the value of a setting, or None when it is left out.

    An environment cannot leave a variable out everywhere: ``${VARIABLE:-}`` makes it empty.
    """
    value = config.get(name)
    return None if isinstance(value, str) and not value.strip() else value


def boolean(config: Mapping[str, Any], name: str) -> bool:
    """Return a setting that is on or off; off by default. Raises :class:`ConfigurationError`."""
    value = given(config, name)
    # 0.0 and 1.0 are equal to 0 and 1, and JSON knows no difference.
    word = value.strip().lower() if isinstance(value, str) else value
    if word in (None, False, *_NO) or word in (True, *_YES):
        return word in (True, *_YES)
    raise ConfigurationError(f"{name} must be True or False.")


def text(config: Mapping[str, Any], name: str, *, longest: int = 2048) -> str | None:
    """Return a setting of one line of text. Raises :class:`ConfigurationError`."""
    value = given(config, name)
    if value is None:
        return None
    if isinstance(value, int | float) and not isinstance(value, bool):
        # Flask's from_prefixed_env reads digits as a number.
        value = str(value) if isinstance(value, int) or abs(value) < _HUGE else ""
    if not isinstance(value, str) or not value.strip() or not value.isprintable():
        raise ConfigurationError(f"{name} must be text on one line, or be left out.")
    if len(value) > longest:
        raise ConfigurationError(f"{name} must have at most {longest} characters.")
    return value


def as_list(value: object) -> object:
    """Return the list that this text holds: JSON, or names with commas. Other values as they are.

    Flask's from_prefixed_env reads JSON, but many apps copy the environment's text.
    """
    if not isinstance(value, str):
        return value
    if value.strip().startswith("["):
        try:
            return json.loads(value)
        except ValueError:
            return value
    # A comma at the end adds nothing.
    return [name.strip() for name in value.strip().removesuffix(",").split(",")]


def number(config: Mapping[str, Any], name: str, default: float) -> float:
    """Return a number that is neither infinite nor NaN. Raises :class:`ConfigurationError`."""
    value = given(config, name)
    if value is None:
        return default
    if isinstance(value, str) and _NUMBER.fullmatch(value.strip()):
        value = float(value)
    if isinstance(value, Decimal) and value.is_finite():
        value = float(value)
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    # No setting needs a larger number. This refuses infinity and NaN, too.
    if not is_number or not -_HUGE < cast(float, value) < _HUGE:
        raise ConfigurationError(f"{name} must be a number, such as 10, or be left out.")
    return cast(float, value)


def positive(config: Mapping[str, Any], name: str, default: float) -> float:
    """Return a number of seconds, more than 0. Raises :class:`ConfigurationError`."""
    period: Any = config.get(name)
    is_period = isinstance(period, timedelta)
    value = period.total_seconds() if is_period else number(config, name, default)
    if value <= 0:
        raise ConfigurationError(f"{name} must be more than 0 seconds.")
    return value


def seconds(config: Mapping[str, Any], name: str, default: int, *, most: float = _HUGE) -> int:
    """Return a whole number of seconds, 1 to ``most``. Raises :class:`ConfigurationError`."""
    value = positive(config, name, default)
    if value != int(value):
        raise ConfigurationError(f"{name} must be a whole number of seconds.")
    if value > most:
        reason = "" if most == _HUGE else ": OpenRouter's codes live no longer"
        raise ConfigurationError(f"{name} must be at most {most:.0f} seconds{reason}.")
    return int(value)
