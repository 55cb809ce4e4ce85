"""The seconds after which OpenRouter wants a request again."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from datetime import datetime, timedelta, timezone
from email.utils import parsedate_to_datetime
from typing import Any, Final

from .models import parse_moment
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

    In this order: ``Retry-After`` and ``Retry-After-Ms`` as a header or in ``metadata.headers``,
    ``retry_after_seconds`` and ``retry_after`` in the body, ``X-RateLimit-Reset``,
    ``RateLimit-Reset`` and ``metadata.resets_at``. For the daily allowance, the latest of them
    counts, and without any the end of the day in UTC, when it returns.

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
        str(name).lower(): _text(value[0] if isinstance(value, list) and value else value)
        for name, value in (relayed.items() if isinstance(relayed, Mapping) else ())
    }
    availability = error.get("availability")
    availability = availability if isinstance(availability, Mapping) else {}
    both = (headers, relayed)
    waits = [parse_retry_after(of.get("retry-after"), now) for of in both]
    milliseconds = [parse_retry_after(of.get("retry-after-ms"), now) for of in both]
    waits += [wait and wait / 1000 for wait in milliseconds]
    for place in (metadata, error, availability):
        for name in ("retry_after_seconds", "retry_after"):
            waits.append(parse_retry_after(_text(place.get(name)), now))
    if is_limited:
        names = ("x-ratelimit-reset", "ratelimit-reset")
        resets = [of.get(name) for name in names for of in both]
        waits += [_until_reset(value, now) for value in resets]
        waits.append(_until_reset(_text(metadata.get("resets_at")), now))
    yield from (wait for wait in waits if wait is not None and wait <= _LONGEST_SECONDS)


def parse_retry_after(value: str | None, now: datetime | None = None) -> float | None:
    """Read ``Retry-After`` (RFC 9110 §10.2.3) as seconds from ``now``; None if there is none.

    A time may also be in the form of ISO 8601.
    """
    if value is None or len(value) > 64:
        return None
    try:
        seconds = float(value)
    except ValueError:
        moment = parse_moment(value) or _http_date(value)
        if moment is None:
            return None
        return max(0.0, (moment - (now or datetime.now(timezone.utc))).total_seconds())
    return seconds if math.isfinite(seconds) and seconds >= 0 else None


def _http_date(value: str) -> datetime | None:
    try:
        moment = parsedate_to_datetime(value)
    except (ValueError, OverflowError):
        return None
    return moment if moment.tzinfo else moment.replace(tzinfo=timezone.utc)


def _text(value: object) -> str | None:
    """Return a number as the text that it would be in a header."""
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return None
    return str(value)


def _until_reset(value: str | None, now: datetime) -> float | None:
    """Read a reset: a time, seconds from now, or milliseconds or seconds since 1970."""
    wait = parse_retry_after(value, now)
    try:
        number = float(value or "")
    except ValueError:
        return wait
    # A smaller number is no time of this century.
    if wait is None or number < 1e9:
        return wait
    moment = parse_moment(number)
    return None if moment is None else max(0.0, (moment - now).total_seconds())


def _until_midnight(now: datetime) -> float:
    today = now.astimezone(timezone.utc).replace(hour=0, minute=0, second=0, microsecond=0)
    return (today + timedelta(days=1) - now).total_seconds()
