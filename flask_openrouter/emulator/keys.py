"""One issued key: its limit, what was spent, whether it still lives."""

from __future__ import annotations

import hashlib
import secrets
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta, timezone
from typing import Any

KEY_PREFIX = "sk-or-v1-"
#: Every emulated key starts with this after the prefix ("emulate" twice, as far as hex can spell
#: it), so that one found in a log or a database is known for a fake at a glance.
KEY_MARKER = "e41a7e00e41a7e00"


def create_api_key() -> str:
    """Return a new fake key: the prefix, the marker, 48 random hexadecimal digits."""
    return f"{KEY_PREFIX}{KEY_MARKER}{secrets.token_hex(24)}"


def create_code() -> str:
    """Return a new authorization code. Real ones are known to contain ``-`` and ``_``."""
    return f"auth_code_{secrets.token_urlsafe(24)}"


def fingerprint(secret: str) -> str:
    """Return the SHA-256 of a secret in hexadecimal, which is also OpenRouter's key hash."""
    return hashlib.sha256(secret.encode("utf-8", "surrogatepass")).hexdigest()


def mask(api_key: str) -> str:
    """Return the key as OpenRouter labels it: enough to recognise, not enough to use."""
    return f"{api_key[:12]}...{api_key[-3:]}"


@dataclass(kw_only=True)
class KeyRecord:
    """What the emulator knows about a key it issued. The key itself is not kept."""

    hash: str
    masked: str
    openrouter_user_id: str | None
    key_label: str
    created_at: float
    limit: float | None = None
    limit_reset: str | None = None
    expires_at: float | None = None
    workspace_id: str | None = None
    revoked: bool = False
    #: USD spent per UTC day.
    spending: dict[date, float] = field(default_factory=dict)

    def is_live(self, now: float) -> bool:
        """Whether the key still opens anything."""
        return not self.revoked and (self.expires_at is None or now < self.expires_at)

    def spend(self, cost: float, now: float) -> None:
        """Book ``cost`` USD."""
        today = _day(now)
        self.spending[today] = self.spending.get(today, 0.0) + cost

    def set_usage(self, usage: float, now: float) -> None:
        """Replace everything spent so far by ``usage`` USD, spent today."""
        self.spending = {_day(now): usage}

    def usage(self, now: float, interval: str | None = None) -> float:
        """USD spent, in all or in the current UTC day, week (from Monday) or month."""
        start = _start_of(interval, _day(now))
        return round(sum(cost for day, cost in self.spending.items() if day >= start), 8)

    def remaining(self, now: float) -> float | None:
        """USD left under the limit, or None without one."""
        if self.limit is None:
            return None
        return round(max(0.0, self.limit - self.usage(now, self.limit_reset)), 8)

    def as_key_info(self, now: float) -> dict[str, Any]:
        """Return ``data`` of ``GET /api/v1/key``: every field that any official SDK requires."""
        usage = {
            "usage": self.usage(now),
            "usage_daily": self.usage(now, "daily"),
            "usage_weekly": self.usage(now, "weekly"),
            "usage_monthly": self.usage(now, "monthly"),
        }
        return {
            "label": self.masked,
            "limit": self.limit,
            "limit_remaining": self.remaining(now),
            "limit_reset": self.limit_reset,
            "include_byok_in_limit": False,
            **usage,
            **{f"byok_{name}": 0 for name in usage},
            "is_free_tier": False,
            "is_management_key": False,
            "is_provisioning_key": False,
            "creator_user_id": self.openrouter_user_id,
            "expires_at": None if self.expires_at is None else iso_time(self.expires_at),
            "rate_limit": {
                "requests": -1,
                "interval": "10s",
                "note": "This field is deprecated and safe to ignore.",
            },
            "allowed_data_regions": ["global"],
            "free_model_daily_requests": {"limit": 50, "remaining": 50, "used": 0},
            "organization_id": None,
            "workspace_id": self.workspace_id,
            "budgets": [],
            "effective_budget": None,
        }

    def as_json(self, now: float) -> dict[str, Any]:
        """Return the key for the control API, without anything that could be used as one."""
        return {
            "hash": self.hash,
            "masked": self.masked,
            "openrouter_user_id": self.openrouter_user_id,
            "key_label": self.key_label,
            "limit": self.limit,
            "usage": self.usage(now),
            "limit_remaining": self.remaining(now),
            "is_live": self.is_live(now),
        }


def iso_time(seconds: float) -> str:
    """Return epoch seconds as OpenRouter writes times: UTC, with seconds and ``Z``."""
    return datetime.fromtimestamp(seconds, timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")


def _day(now: float) -> date:
    return datetime.fromtimestamp(now, timezone.utc).date()


def _start_of(interval: str | None, today: date) -> date:
    starts = {
        None: date.min,
        "daily": today,
        "weekly": today - timedelta(days=today.weekday()),
        "monthly": today.replace(day=1),
    }
    return starts[interval]
