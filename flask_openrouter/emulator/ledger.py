"""The ledger: pending consents, authorization codes and keys, in memory.

Every step is atomic, so that a consent or a code works once, even for concurrent requests.
"""

from __future__ import annotations

import hashlib
import secrets
import threading
from collections import OrderedDict
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta, timezone
from itertools import islice
from types import EllipsisType
from typing import Any, TypeVar

from .authorization import AuthorizationRequest

KEY_PREFIX = "sk-or-v1-"
CODE_PREFIX = "auth_code_"
#: Follows the prefix in every emulated key ("emulate" twice, as far as hex can spell it), so that
#: a key found in a log or a database is recognised as fake at a glance.
KEY_MARKER = "e41a7e00e41a7e00"

# A forgotten emulator must not fill the memory. Real tests have far fewer logins and keys.
MAX_PENDING = 10_000
#: How many keys are stored. The oldest one goes when another is issued.
MAX_KEYS = 10_000

_Value = TypeVar("_Value")


def fingerprint(secret: str) -> str:
    """Return the SHA-256 of a secret in hexadecimal, which is also OpenRouter's key hash."""
    return hashlib.sha256(secret.encode("utf-8", "surrogatepass")).hexdigest()


def iso_time(seconds: float) -> str:
    """Return epoch seconds as OpenRouter writes times: UTC, with seconds and ``Z``."""
    return datetime.fromtimestamp(seconds, timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")


@dataclass(kw_only=True)
class KeyRecord:
    """One issued key, its limit and its spending. The key itself is not stored."""

    hash: str
    masked: str
    openrouter_user_id: str | None
    key_label: str
    limit: float | None = None
    limit_reset: str | None = None
    expires_at: float | None = None
    workspace_id: str | None = None
    revoked: bool = False
    #: USD spent per UTC day.
    spending: dict[date, float] = field(default_factory=dict)

    def is_live(self, now: float) -> bool:
        """Whether the key is neither revoked nor expired."""
        return not self.revoked and (self.expires_at is None or now < self.expires_at)

    def spend(self, cost: float, now: float) -> None:
        """Add ``cost`` USD to the spending of today."""
        today = _day(now)
        self.spending[today] = self.spending.get(today, 0.0) + cost

    def set_usage(self, usage: float, now: float) -> None:
        """Replace all spending so far by ``usage`` USD, spent today."""
        self.spending = {_day(now): usage}

    def usage(self, now: float, interval: str | None = None) -> float:
        """Return the USD spent: in total, or in this UTC day, week (from Monday) or month."""
        start = _start_of(interval, _day(now))
        return round(sum(cost for day, cost in self.spending.items() if day >= start), 8)

    def remaining(self, now: float) -> float | None:
        """Return the USD left under the limit, or ``None`` without a limit."""
        if self.limit is None:
            return None
        return round(max(0.0, self.limit - self.usage(now, self.limit_reset)), 8)

    def as_key_info(self, now: float) -> dict[str, Any]:
        """Return ``data`` of ``GET /api/v1/key``, with every field that any SDK requires."""
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
        """Return the key for the control API: its hash and mask, never the key itself."""
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


@dataclass(frozen=True, kw_only=True)
class CodeRecord:
    """An authorization code that was issued and not yet exchanged."""

    request: AuthorizationRequest
    openrouter_user_id: str | None
    issued_at: float


class Ledger:
    """Pending consents, codes and keys. Of codes and keys, only the SHA-256 is stored."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._consents: OrderedDict[str, AuthorizationRequest] = OrderedDict()
        self._codes: OrderedDict[str, CodeRecord] = OrderedDict()
        self._keys: OrderedDict[str, KeyRecord] = OrderedDict()

    def clear(self) -> None:
        """Drop everything."""
        with self._lock:
            self._consents.clear()
            self._codes.clear()
            self._keys.clear()

    def add_consent(self, request: AuthorizationRequest) -> str:
        """Store the request of a consent page, and return the page's single-use id."""
        consent = secrets.token_urlsafe(32)
        with self._lock:
            _add(self._consents, fingerprint(consent), request)
        return consent

    def take_consent(self, consent: str) -> AuthorizationRequest | None:
        """Return the request of a consent page. A second time, or for an unknown id, ``None``."""
        with self._lock:
            return self._consents.pop(fingerprint(consent), None)

    def issue_code(
        self, request: AuthorizationRequest, openrouter_user_id: str | None, now: float
    ) -> str:
        """Return a new authorization code for this request."""
        code = _create_code()
        record = CodeRecord(request=request, openrouter_user_id=openrouter_user_id, issued_at=now)
        with self._lock:
            _add(self._codes, fingerprint(code), record)
        return code

    def take_code(self, code: str) -> CodeRecord | None:
        """Return the record of a code. A second time, or for an unknown code, ``None``."""
        with self._lock:
            return self._codes.pop(fingerprint(code), None)

    def issue_key(self, request: AuthorizationRequest, openrouter_user_id: str | None) -> str:
        """Return a new key with the limit, label and expiry of this request."""
        api_key = _create_api_key()
        record = KeyRecord(
            hash=fingerprint(api_key),
            masked=_mask(api_key),
            openrouter_user_id=openrouter_user_id,
            key_label=request.key_label or request.app_name,
            limit=request.limit,
            limit_reset=request.limit_reset,
            expires_at=request.expires_at,
            workspace_id=request.workspace_id,
        )
        with self._lock:
            _add(self._keys, record.hash, record, MAX_KEYS)
        return api_key

    def live_key(self, api_key: str, now: float) -> str | None:
        """Return the hash of a live key, or ``None`` if the key is not live."""
        key_hash = fingerprint(api_key)
        with self._lock:
            record = self._keys.get(key_hash)
            return key_hash if record is not None and record.is_live(now) else None

    def key_info(self, key_hash: str, now: float) -> dict[str, Any]:
        """Return ``data`` of ``GET /api/v1/key``.

        :raises LookupError: if there is no such key.
        """
        with self._lock:
            return self._key(key_hash).as_key_info(now)

    def user_of(self, key_hash: str) -> str | None:
        """Return the id of the account that owns a key.

        :raises LookupError: if there is no such key.
        """
        with self._lock:
            return self._key(key_hash).openrouter_user_id

    def remaining(self, key_hash: str, now: float) -> float | None:
        """Return the USD left under a key's limit, or ``None`` without a limit.

        :raises LookupError: if there is no such key.
        """
        with self._lock:
            return self._key(key_hash).remaining(now)

    def spend(self, key_hash: str, cost: float, now: float) -> None:
        """Charge ``cost`` USD to a key. A key that is gone by now is ignored."""
        with self._lock:
            record = self._keys.get(key_hash)
            if record is not None:
                record.spend(cost, now)

    def revoke(self, key_hash: str) -> None:
        """Revoke a key, as its owner does on OpenRouter's page.

        :raises LookupError: if there is no such key.
        """
        with self._lock:
            self._key(key_hash).revoked = True

    def set_key(
        self,
        key_hash: str,
        *,
        limit: float | EllipsisType | None,
        usage: float | EllipsisType,
        now: float,
    ) -> None:
        """Change a key's limit or usage in USD; ``...`` leaves the value unchanged.

        :raises LookupError: if there is no such key.
        """
        with self._lock:
            record = self._key(key_hash)
            if not isinstance(limit, EllipsisType):
                record.limit = limit
            if not isinstance(usage, EllipsisType):
                record.set_usage(usage, now)

    def keys(self, now: float) -> list[dict[str, Any]]:
        """Return a description of every issued key, oldest first."""
        with self._lock:
            return [record.as_json(now) for record in self._keys.values()]

    def latest_keys(self, now: float, first: int, most: int) -> list[dict[str, Any]]:
        """Return a description of ``most`` keys from number ``first`` on, newest first."""
        with self._lock:
            records = list(islice(reversed(self._keys.values()), first, first + most))
            return [record.as_json(now) for record in records]

    def count_keys(self) -> int:
        """Return the number of stored keys."""
        with self._lock:
            return len(self._keys)

    def describe(self, key_hash: str, now: float) -> dict[str, Any] | None:
        """Return a description of one key, or ``None`` if there is no such key."""
        with self._lock:
            record = self._keys.get(key_hash)
            return None if record is None else record.as_json(now)

    def _key(self, key_hash: str) -> KeyRecord:
        record = self._keys.get(key_hash)
        if record is None:
            raise LookupError("The emulator has issued no such key.")
        return record


def _create_api_key() -> str:
    """Return a new fake key: the prefix, the marker, 48 random hexadecimal digits."""
    return f"{KEY_PREFIX}{KEY_MARKER}{secrets.token_hex(24)}"


def _create_code() -> str:
    """Return a new authorization code. Real ones contain ``-`` and ``_``, too."""
    return f"{CODE_PREFIX}{secrets.token_urlsafe(24)}"


def _mask(api_key: str) -> str:
    """Return the key as OpenRouter labels it: recognisable, but not usable."""
    return f"{api_key[:12]}...{api_key[-3:]}"


def _add(
    records: OrderedDict[str, _Value], name: str, value: _Value, most: int = MAX_PENDING
) -> None:
    records[name] = value
    while len(records) > most:
        records.popitem(last=False)


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
