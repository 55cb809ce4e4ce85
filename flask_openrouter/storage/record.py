"""The record of one connected visitor."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field
from typing import Final

from ..client.credentials import Unpicklable, is_api_key

#: The form of OpenRouter's keys today: 32 bytes, stored without their 64 hexadecimal digits.
_USUAL_KEY: Final = re.compile(r"sk-or-v1-([0-9a-f]{64})")
#: Flags in the first byte of a record.
_IS_USUAL: Final = 1
_HAS_USER: Final = 2
_IS_SET_ASIDE: Final = 4
_FOLLOWS_REJECTED: Final = 8
_ALL_FLAGS: Final = 15
_TIME_BYTES: Final = 5
#: Flags and time.
_FIRST_BYTES: Final = 1 + _TIME_BYTES
_KEY_BYTES: Final = 32

#: The last second that a datetime can hold.
_LATEST: Final = 253_402_300_799


# Not frozen: that takes several times as long to make. Nothing changes it.
@dataclass(slots=True)
class KeyRecord(Unpicklable):
    """A key, the account it belongs to, and when it was connected (Unix time, seconds).

    ``rejected_at``: when OpenRouter rejected the key (Unix time, seconds), or None. Such a key is
    set aside: it is not used, and given back if OpenRouter accepts it again.
    ``follows_rejected``: whether the key replaced one that was set aside.
    """

    api_key: str = field(repr=False)
    openrouter_user_id: str | None
    connected_at: int
    rejected_at: int | None = None
    follows_rejected: bool = False

    def to_json(self) -> str:
        """Return the record as JSON text, for back ends that are secrets managers themselves."""
        fields: dict[str, object] = {
            "api_key": self.api_key,
            "connected_at": self.connected_at,
            "user_id": self.openrouter_user_id,
        }
        if self.rejected_at is not None:
            fields["rejected_at"] = self.rejected_at
        if self.follows_rejected:
            fields["follows_rejected"] = True
        return json.dumps(fields, separators=(",", ":"))

    @classmethod
    def from_json(cls, text: str | bytes) -> KeyRecord | None:
        """Read what :meth:`to_json` wrote; None for anything else."""
        try:
            fields = json.loads(text)
            record = cls(
                fields["api_key"],
                fields["user_id"],
                fields["connected_at"],
                fields.get("rejected_at"),
                fields.get("follows_rejected", False),
            )
        except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
            return None
        return record if record._is_well_formed() else None

    def _is_well_formed(self) -> bool:
        return (
            is_api_key(self.api_key)
            and isinstance(self.openrouter_user_id, str | None)
            and _is_time(self.connected_at)
            and (self.rejected_at is None or _is_time(self.rejected_at))
            and isinstance(self.follows_rejected, bool)
        )

    def to_bytes(self) -> bytes:
        """Return the record as few bytes, for encryption: in a cookie every request carries them.

        A byte of flags, the time, the time of the rejection if there is one, the key, the account;
        a key of another form is preceded by its length.
        """
        usual = _USUAL_KEY.fullmatch(self.api_key)
        key = bytes.fromhex(usual[1]) if usual else self.api_key.encode()
        user, rejected_at = self.openrouter_user_id, self.rejected_at
        flags = (
            (_IS_USUAL if usual else 0)
            | (0 if user is None else _HAS_USER)
            | (0 if rejected_at is None else _IS_SET_ASIDE)
            | (_FOLLOWS_REJECTED if self.follows_rejected else 0)
        )
        return b"".join(
            (
                bytes((flags,)),
                self.connected_at.to_bytes(_TIME_BYTES, "big"),
                b"" if rejected_at is None else rejected_at.to_bytes(_TIME_BYTES, "big"),
                b"" if usual else len(key).to_bytes(2, "big"),
                key,
                # JSON can spell half a character, so an account may hold one.
                (user or "").encode(errors="surrogatepass"),
            )
        )

    @classmethod
    def from_bytes(cls, data: bytes) -> KeyRecord | None:
        """Read what :meth:`to_bytes` wrote; None for anything else."""
        flags, start, rejected_at = data[0] if data else -1, _FIRST_BYTES, None
        if not 0 <= flags <= _ALL_FLAGS:
            return None
        if flags & _IS_SET_ASIDE:
            start += _TIME_BYTES
            rejected_at = int.from_bytes(data[_FIRST_BYTES:start], "big")
        is_usual, length = flags & _IS_USUAL, _KEY_BYTES
        if not is_usual:
            start += 2
            length = int.from_bytes(data[start - 2 : start], "big")
        end = start + length
        key, user = data[start:end], data[end:]
        if len(data) < end or (user and not flags & _HAS_USER):
            return None
        try:
            record = cls(
                f"sk-or-v1-{key.hex()}" if is_usual else key.decode("ascii"),
                user.decode(errors="surrogatepass") if flags & _HAS_USER else None,
                int.from_bytes(data[1:_FIRST_BYTES], "big"),
                rejected_at,
                bool(flags & _FOLLOWS_REJECTED),
            )
        except ValueError:
            return None
        # A usual key cannot be malformed, so most requests skip the check.
        is_simple = is_usual and rejected_at is None
        is_well_formed = record.connected_at <= _LATEST if is_simple else record._is_well_formed()
        return record if is_well_formed else None


def _is_time(value: object) -> bool:
    return type(value) is int and 0 <= value <= _LATEST
