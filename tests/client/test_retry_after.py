"""The seconds to wait, wherever OpenRouter says them."""

from __future__ import annotations

import json
from datetime import datetime, timezone
from typing import Any

import pytest
from cases import case

from flask_openrouter.client.responses import error_from

NOW = datetime(2026, 11, 20, 12, 0, tzinfo=timezone.utc)
DAILY = "Rate limit exceeded: free-models-per-day"


def wait(
    headers: dict[str, str], *, status: int = 429, message: str = "No", **error: Any
) -> float | None:
    body = json.dumps({"error": {"message": message, **error}}).encode()
    found = error_from(status, headers, body, now=NOW)
    return found.retry_after  # type: ignore[attr-defined,no-any-return]


def reset(seconds: float) -> str:
    """Return an ``X-RateLimit-Reset``: milliseconds since 1970."""
    return str(int((NOW.timestamp() + seconds) * 1000))


@pytest.mark.requirement("O7", "O8")
def test_the_wait_is_found_wherever_it_is() -> None:
    relayed = {"X-RateLimit-Limit": "50", "X-RateLimit-Reset": reset(90)}
    for headers, error, seconds in [
        ({"retry-after": "5"}, {}, 5),
        ({"retry-after": "5", "x-ratelimit-reset": reset(90)}, {}, 5),
        ({"retry-after": "9" * 9, "x-ratelimit-reset": reset(90)}, {}, 90),
        ({"x-ratelimit-reset": reset(90)}, {}, 90),
        ({}, {"metadata": {"headers": relayed}}, 90),
        ({}, {"metadata": {"headers": {"x-ratelimit-reset": int(reset(90))}}}, 90),
        ({}, {"metadata": {"headers": {"Retry-After": "7"}}}, 7),
        ({}, {"metadata": {"retry_after_seconds": 42}}, 42),
        ({}, {"metadata": {"retry_after_seconds": "42"}}, 42),
        ({}, {"metadata": {"retry_after": 1.5}}, 1.5),
        ({}, {"availability": {"retry_after": 3}}, 3),
        ({"x-ratelimit-reset": reset(-90)}, {}, 0),
        ({"x-ratelimit-reset": str(int(NOW.timestamp() + 90))}, {}, 90),
        ({"x-ratelimit-reset": f"{NOW.timestamp() + 90}"}, {}, 90),
        ({"x-ratelimit-reset": "90"}, {}, 90),
        ({"x-ratelimit-reset": "2026-11-20T12:01:30Z"}, {}, 90),
        ({"x-ratelimit-reset": "2026-11-20T11:00:00+00:00"}, {}, 0),
        ({"x-ratelimit-reset": "Fri, 20 Nov 2026 12:01:30 GMT"}, {}, 90),
        ({"ratelimit-reset": "30"}, {}, 30),
        ({"x-ratelimit-reset": reset(90), "ratelimit-reset": "30"}, {}, 90),
        ({"retry-after-ms": "1500"}, {}, 1.5),
        ({"retry-after-ms": "0", "x-ratelimit-reset": reset(90)}, {}, 0),
        ({"retry-after": "2", "retry-after-ms": "1500"}, {}, 2),
        ({"retry-after": "2026-11-20T12:00:05Z"}, {}, 5),
        ({}, {"metadata": {"headers": {"X-RateLimit-Reset": [reset(90)]}}}, 90),
        ({}, {"metadata": {"headers": {"RateLimit-Reset": ["30", "x"]}}}, 30),
        ({}, {"metadata": {"headers": {"Retry-After": ["5"]}}}, 5),
        ({}, {"metadata": {"headers": {"Retry-After-Ms": 250}}}, 0.25),
        ({}, {"metadata": {"resets_at": "2026-11-20T12:01:30.000Z"}}, 90),
        ({}, {"metadata": {"resets_at": NOW.timestamp() + 90}}, 90),
        ({}, {"metadata": {"resets_at": int(reset(90))}}, 90),
        ({}, {"retry_after": 15}, 15),
        ({}, {"retry_after_seconds": "15"}, 15),
        ({}, {"retry_after": 15, "metadata": {"retry_after": 3}}, 3),
    ]:
        with case(headers, error):
            assert wait(headers, **error) == pytest.approx(seconds)


def test_what_cannot_be_a_wait_is_none() -> None:
    for headers, error in [
        ({}, {}),
        ({"retry-after": "soon"}, {}),
        ({"retry-after": "1e300"}, {}),
        ({"retry-after": "Wed, 21 Oct 9999 07:28:00 GMT"}, {}),
        ({}, {"metadata": {"retry_after_seconds": 10**12}}),
        ({"x-ratelimit-reset": "9" * 30}, {}),
        ({"x-ratelimit-reset": "-90"}, {}),
        ({"x-ratelimit-reset": "99999999"}, {}),
        ({"x-ratelimit-reset": "2099-01-01T00:00:00Z"}, {}),
        ({"x-ratelimit-reset": "nan"}, {}),
        ({"ratelimit-reset": "1e300"}, {}),
        ({"retry-after-ms": "soon"}, {}),
        ({"retry-after-ms": "9" * 20}, {}),
        ({"x-ratelimit-reset": reset(400 * 86400)}, {}),
        ({"x-ratelimit-reset": "soon"}, {}),
        ({}, {"metadata": {"retry_after_seconds": -1}}),
        ({}, {"metadata": {"retry_after_seconds": 10**400}}),
        ({}, {"metadata": {"retry_after_seconds": True}}),
        ({}, {"metadata": {"retry_after_seconds": [42]}}),
        ({}, {"metadata": {"headers": ["Retry-After"]}}),
        ({}, {"metadata": {"headers": {"Retry-After": []}}}),
        ({}, {"metadata": {"headers": {"Retry-After": [["5"]]}}}),
        ({}, {"metadata": {"resets_at": True}}),
        ({}, {"metadata": {"resets_at": "soon"}}),
        ({}, {"metadata": {"resets_at": 10**400}}),
        ({}, {"retry_after": {"seconds": 5}}),
        ({}, {"availability": ["x"]}),
    ]:
        with case(headers, error):
            assert wait(headers, **error) is None


def test_a_reset_means_nothing_without_a_limit() -> None:
    assert wait({"x-ratelimit-reset": reset(90)}, status=503) is None
    assert wait({"retry-after": "9", "x-ratelimit-reset": reset(90)}, status=503) == 9
    assert wait({}, status=503, metadata={"resets_at": reset(90)}) is None
    assert wait({}, status=503, retry_after=7) == 7


@pytest.mark.requirement("O7")
def test_the_daily_allowance_returns_with_the_reset_and_not_in_seconds() -> None:
    hours = 8 * 3600.0
    assert wait({"x-ratelimit-reset": reset(hours)}, message=DAILY) == hours
    assert wait({"retry-after": "10", "x-ratelimit-reset": reset(hours)}, message=DAILY) == hours
    assert wait({}, message=DAILY) == 12 * 3600  # At midnight in UTC.
