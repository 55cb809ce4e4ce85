"""What was asked, granted and issued. Every step is atomic: two requests cannot both win."""

from __future__ import annotations

import secrets
import threading
from collections import OrderedDict
from dataclasses import dataclass
from types import EllipsisType
from typing import Any, TypeVar

from .authorization import AuthorizationRequest
from .keys import KeyRecord, create_api_key, create_code, fingerprint, mask

# A forgotten emulator must not eat the machine; nobody has this many logins pending.
MAX_PENDING = 10_000

_Value = TypeVar("_Value")


@dataclass(frozen=True, kw_only=True)
class CodeRecord:
    """An authorization code that was issued and not yet redeemed."""

    request: AuthorizationRequest
    openrouter_user_id: str | None
    issued_at: float


class Ledger:
    """Pending consents, codes and keys, in memory. Codes and keys are kept as SHA-256 only."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._consents: OrderedDict[str, AuthorizationRequest] = OrderedDict()
        self._codes: OrderedDict[str, CodeRecord] = OrderedDict()
        self._keys: dict[str, KeyRecord] = {}

    def clear(self) -> None:
        """Forget everything."""
        with self._lock:
            self._consents.clear()
            self._codes.clear()
            self._keys.clear()

    def add_consent(self, request: AuthorizationRequest) -> str:
        """Remember what the consent page asks, and return the page's single-use id."""
        consent = secrets.token_urlsafe(32)
        with self._lock:
            _add(self._consents, fingerprint(consent), request)
        return consent

    def take_consent(self, consent: str) -> AuthorizationRequest | None:
        """Return what was asked, once; then and for unknown ids ``None``."""
        with self._lock:
            return self._consents.pop(fingerprint(consent), None)

    def issue_code(
        self, request: AuthorizationRequest, openrouter_user_id: str | None, now: float
    ) -> str:
        """Return a new authorization code for this request."""
        code = create_code()
        record = CodeRecord(request=request, openrouter_user_id=openrouter_user_id, issued_at=now)
        with self._lock:
            _add(self._codes, fingerprint(code), record)
        return code

    def take_code(self, code: str) -> CodeRecord | None:
        """Return what the code stands for, once; then and for unknown codes ``None``."""
        with self._lock:
            return self._codes.pop(fingerprint(code), None)

    def issue_key(
        self, request: AuthorizationRequest, openrouter_user_id: str | None, now: float
    ) -> str:
        """Return a new key as this request wants it."""
        api_key = create_api_key()
        record = KeyRecord(
            hash=fingerprint(api_key),
            masked=mask(api_key),
            openrouter_user_id=openrouter_user_id,
            key_label=request.key_label or request.app_name,
            created_at=now,
            limit=request.limit,
            limit_reset=request.limit_reset,
            expires_at=request.expires_at,
            workspace_id=request.workspace_id,
        )
        with self._lock:
            self._keys[record.hash] = record
        return api_key

    def live_key(self, api_key: str, now: float) -> str | None:
        """Return the hash of a key that still opens something, else ``None``."""
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
        """Return the account that a key belongs to.

        :raises LookupError: if there is no such key.
        """
        with self._lock:
            return self._key(key_hash).openrouter_user_id

    def remaining(self, key_hash: str, now: float) -> float | None:
        """Return the USD left under a key's limit, or ``None`` without one.

        :raises LookupError: if there is no such key.
        """
        with self._lock:
            return self._key(key_hash).remaining(now)

    def spend(self, key_hash: str, cost: float, now: float) -> None:
        """Book ``cost`` USD on a key; on a key that is gone meanwhile, nothing happens."""
        with self._lock:
            record = self._keys.get(key_hash)
            if record is not None:
                record.spend(cost, now)

    def revoke(self, key_hash: str) -> None:
        """Let a key die, as its user would on OpenRouter's page.

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
        """Change a key's limit or usage in USD; ``...`` leaves one as it is.

        :raises LookupError: if there is no such key.
        """
        with self._lock:
            record = self._key(key_hash)
            if not isinstance(limit, EllipsisType):
                record.limit = limit
            if not isinstance(usage, EllipsisType):
                record.set_usage(usage, now)

    def keys(self, now: float) -> list[dict[str, Any]]:
        """Return every key issued, oldest first, without the keys themselves."""
        with self._lock:
            return [record.as_json(now) for record in self._keys.values()]

    def _key(self, key_hash: str) -> KeyRecord:
        record = self._keys.get(key_hash)
        if record is None:
            raise LookupError("The emulator has issued no such key.")
        return record


def _add(records: OrderedDict[str, _Value], name: str, value: _Value) -> None:
    records[name] = value
    while len(records) > MAX_PENDING:
        records.popitem(last=False)
