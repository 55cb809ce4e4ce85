"""The results of the calls, parsed strictly. Secrets show in no ``repr`` and are not pickled."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from datetime import datetime, timezone
from typing import Any, NoReturn

from .credentials import Unpicklable, is_api_key, is_code


@dataclass(frozen=True, slots=True)
class IssuedKey(Unpicklable):
    """A new key (``POST /api/v1/auth/keys``).

    ``api_key`` is the key, which shows in no ``repr``. ``openrouter_user_id`` is the account that
    approved; None when OpenRouter does not name it.
    """

    api_key: str = field(repr=False)
    openrouter_user_id: str | None = None

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> IssuedKey | None:
        """Read OpenRouter's JSON; None if it holds no well-formed key."""
        user_id = _text(data.get("user_id"), 255)
        return cls(data["key"], user_id) if is_api_key(data.get("key")) else None


@dataclass(frozen=True, slots=True)
class AuthCode(Unpicklable):
    """A new code (``POST /api/v1/auth/keys/code``), to be exchanged within ten minutes.

    ``code`` shows in no ``repr``. ``app_id`` is OpenRouter's number of the app, ``created_at`` has
    a time zone; each is None when OpenRouter leaves it out.
    """

    code: str = field(repr=False)
    app_id: int | None = None
    created_at: datetime | None = None

    @classmethod
    def from_json(cls, response: Mapping[str, Any]) -> AuthCode | None:
        """Read OpenRouter's JSON; None if it holds no well-formed code."""
        data = response.get("data")
        if not isinstance(data, Mapping) or not is_code(data.get("id")):
            return None
        app_id = data.get("app_id")
        return cls(
            data["id"],
            app_id if isinstance(app_id, int) and not isinstance(app_id, bool) else None,
            _moment(data.get("created_at")),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyInfo:
    """A key's limit and usage (``GET /api/v1/key``). Amounts are US dollars.

    A field that OpenRouter leaves out, or sends as another type, is None; new ones are ignored.
    ``label`` is the masked key. ``limit`` is None for a key without a limit of its own, and
    ``limit_remaining`` is what is left of that limit, not the balance of the account.
    ``limit_reset`` is ``"daily"``, ``"weekly"``, ``"monthly"`` or None. ``usage`` is what was spent
    in total; ``usage_daily``, ``usage_weekly`` and ``usage_monthly`` in the current day, week and
    month.
    ``byok_`` means spending on the person's own provider keys, and ``include_byok_in_limit``
    whether that counts against the limit. ``is_free_tier``: the account never paid.
    ``is_management_key``: it manages other keys. ``creator_user_id``, ``organization_id`` and
    ``workspace_id`` name its owners. ``expires_at`` has a time zone.
    """

    label: str | None = None
    limit: float | None = None
    limit_remaining: float | None = None
    limit_reset: str | None = None
    include_byok_in_limit: bool | None = None
    usage: float | None = None
    usage_daily: float | None = None
    usage_weekly: float | None = None
    usage_monthly: float | None = None
    byok_usage: float | None = None
    byok_usage_daily: float | None = None
    byok_usage_weekly: float | None = None
    byok_usage_monthly: float | None = None
    is_free_tier: bool | None = None
    is_management_key: bool | None = None
    creator_user_id: str | None = None
    organization_id: str | None = None
    workspace_id: str | None = None
    expires_at: datetime | None = None

    @property
    def spent_this_period(self) -> float | None:
        """USD spent of the limit since it was last reset; None for a key without a limit."""
        if self.limit is None or self.limit_remaining is None:
            return None
        return self.limit - self.limit_remaining

    @classmethod
    def from_json(cls, response: Mapping[str, Any]) -> KeyInfo | None:
        """Read OpenRouter's JSON; None if it holds no ``data`` object."""
        data = response.get("data")
        if not isinstance(data, Mapping):
            return None
        return cls(**{f.name: _READERS[f.type](data.get(f.name)) for f in fields(cls)})


def _text(value: object, longest: int = 512) -> str | None:
    is_text = isinstance(value, str) and 0 < len(value) <= longest and value.isprintable()
    return str(value) if is_text else None


def _number(value: object) -> float | None:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    try:
        return value if math.isfinite(value) else None
    except OverflowError:  # An integer beyond every float.
        return None


def _flag(value: object) -> bool | None:
    return value if isinstance(value, bool) else None


def parse_moment(value: object) -> datetime | None:
    """Read an ISO 8601 time, or seconds or milliseconds since 1970; None for anything else.

    A time without a zone is in UTC.
    """
    try:
        if isinstance(value, int | float) and not isinstance(value, bool):
            # Before 1973 if these were milliseconds, so they are seconds.
            return datetime.fromtimestamp(value / 1000 if value >= 1e11 else value, timezone.utc)
        return _moment(value)
    except (ValueError, OverflowError, OSError):
        return None


def _moment(value: object) -> datetime | None:
    if not isinstance(value, str):
        return None
    try:
        # Python 3.10 does not read the Z.
        moment = datetime.fromisoformat(re.sub(r"[Zz]$", "+00:00", value))
    except ValueError:
        return None
    return moment if moment.tzinfo else moment.replace(tzinfo=timezone.utc)


#: How to read a field of :class:`KeyInfo`, by its annotation.
_READERS: dict[Any, Any] = {
    "str | None": _text,
    "float | None": _number,
    "bool | None": _flag,
    "datetime | None": _moment,
}


def parse_object(body: bytes | None) -> dict[str, Any] | None:
    """Read a JSON object strictly (RFC 8259); None for anything else.

    Refused: encodings other than UTF-8, a BOM, duplicate names, NaN and Infinity, data after the
    end, and JSON that Python does not parse (nesting too deep, integers too long).
    """
    if body is None:
        return None
    try:
        value = _DECODER.decode(body.decode("utf-8"))
    except (ValueError, RecursionError):
        return None
    return value if isinstance(value, dict) else None


def parse_leniently(text: str) -> dict[str, Any] | None:
    """Read a JSON object, as far as Python can; None for anything else."""
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        return None
    return value if isinstance(value, dict) else None


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    result = dict(pairs)
    if len(result) != len(pairs):
        raise ValueError("duplicate name")
    return result


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError("not a JSON number")


_DECODER = json.JSONDecoder(object_pairs_hook=_unique, parse_constant=_refuse_constant)
