"""The seconds after which OpenRouter wants a request again."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from datetime import datetime, timedelta, timezone
from email.utils import parsedate_to_datetime
from typing import Any, Final

from .reasons import metadata_of

#: What is further away is a mistake.
_LONGEST_SECONDS: Final = 366 * 86_400.0


def seconds_to_wait(
    headers: Mapping[str, str],
    error: Mapping[str, Any],
    reason: str | None,
    *,
    is_limited: bool,
    now: datetime | None = None,
) -> float | None:
    """Return the seconds to wait from ``now``, or None if OpenRouter does not say.

    In this order: ``Retry-After`` as a header or in ``metadata.headers``, ``retry_after_seconds``
    and ``retry_after`` in the body, ``X-RateLimit-Reset``. For the daily allowance, the latest of
    them counts, and without any the end of the day in UTC, when it returns.

    :param headers: of the response, with lower-case names, or case-insensitive.
    :param error: OpenRouter's error object.
    :param is_limited: whether the error is a limit on requests: only then a reset means anything.
    """
    now = now or datetime.now(timezone.utc)
    found = list(_waits(headers, error, is_limited=is_limited, now=now))
    if reason != "free_daily":
        return next(iter(found), None)
    return max(found) if found else _until_midnight(now)


def _waits(
    headers: Mapping[str, str], error: Mapping[str, Any], *, is_limited: bool, now: datetime
) -> Iterator[float]:
    metadata = metadata_of(error)
    relayed = metadata.get("headers")
    relayed = {
        str(name).lower(): str(value)
        for name, value in (relayed.items() if isinstance(relayed, Mapping) else ())
        if isinstance(value, str | int | float)
    }
    availability = error.get("availability")
    availability = availability if isinstance(availability, Mapping) else {}
    waits = [
        parse_retry_after(headers.get("retry-after"), now),
        parse_retry_after(relayed.get("retry-after"), now),
        *(_number(metadata.get(name)) for name in ("retry_after_seconds", "retry_after")),
        *(_number(availability.get(name)) for name in ("retry_after_seconds", "retry_after")),
    ]
    if is_limited:
        waits += [_until_reset(of.get("x-ratelimit-reset"), now) for of in (headers, relayed)]
    yield from (wait for wait in waits if wait is not None and wait <= _LONGEST_SECONDS)


def parse_retry_after(value: str | None, now: datetime | None = None) -> float | None:
    """Read ``Retry-After`` (RFC 9110 §10.2.3) as seconds from ``now``; None if there is none."""
    if value is None or len(value) > 64:
        return None
    try:
        seconds = float(value)
    except ValueError:
        try:
            moment = parsedate_to_datetime(value)
        except (ValueError, OverflowError):
            return None
        if moment.tzinfo is None:
            moment = moment.replace(tzinfo=timezone.utc)
        seconds = (moment - (now or datetime.now(timezone.utc))).total_seconds()
        return max(0.0, seconds)
    return seconds if math.isfinite(seconds) and seconds >= 0 else None


def _number(value: object) -> float | None:
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return None
    try:
        return parse_retry_after(str(value)) if isinstance(value, str) else _finite(float(value))
    except OverflowError:  # An integer beyond every float.
        return None


def _finite(seconds: float) -> float | None:
    return seconds if math.isfinite(seconds) and seconds >= 0 else None


def _until_reset(value: str | None, now: datetime) -> float | None:
    """Read ``X-RateLimit-Reset``: milliseconds since 1970, unlike elsewhere."""
    milliseconds = parse_retry_after(value, now)
    if milliseconds is None:
        return None
    # Before 1973 if these were milliseconds, so they are seconds.
    moment = milliseconds / 1000 if milliseconds >= 1e11 else milliseconds
    return None if moment < 1e9 else max(0.0, moment - now.timestamp())


def _until_midnight(now: datetime) -> float:
    today = now.astimezone(timezone.utc).replace(hour=0, minute=0, second=0, microsecond=0)
    return (today + timedelta(days=1) - now).total_seconds()
