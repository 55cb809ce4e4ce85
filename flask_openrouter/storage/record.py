"""The record of one connected visitor."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field
from typing import Final

from ..client.credentials import Unpicklable, is_api_key

#: The form of OpenRouter's keys today: 32 bytes, stored without their 64 hexadecimal digits.
_USUAL_KEY: Final = re.compile(r"sk-or-v1-([0-9a-f]{64})")
#: Flags in the first byte of a record: the key has the usual form; the account is known.
_IS_USUAL: Final = 1
_HAS_USER: Final = 2
_TIME_BYTES: Final = 5
_KEY_AT: Final = 1 + _TIME_BYTES
_KEY_BYTES: Final = 32

#: The last second that a datetime can hold.
_LATEST: Final = 253_402_300_799


@dataclass(frozen=True, slots=True)
class KeyRecord(Unpicklable):
    """A key, the account it belongs to, and when it was connected (Unix time, seconds)."""

    api_key: str = field(repr=False)
    openrouter_user_id: str | None
    connected_at: int

    def to_json(self) -> str:
        """Return the record as JSON text, for back ends that are secrets managers themselves."""
        fields = {
            "api_key": self.api_key,
            "connected_at": self.connected_at,
            "user_id": self.openrouter_user_id,
        }
        return json.dumps(fields, separators=(",", ":"))

    @classmethod
    def from_json(cls, text: str | bytes) -> KeyRecord | None:
        """Read what :meth:`to_json` wrote; None for anything else."""
        try:
            fields = json.loads(text)
            record = cls(fields["api_key"], fields["user_id"], fields["connected_at"])
        except (ValueError, TypeError, KeyError, RecursionError):
            return None
        return record if record._is_well_formed() else None

    def _is_well_formed(self) -> bool:
        return (
            is_api_key(self.api_key)
            and isinstance(self.openrouter_user_id, str | None)
            and type(self.connected_at) is int
            and 0 <= self.connected_at <= _LATEST
        )

    def to_bytes(self) -> bytes:
        """Return the record as few bytes, for encryption: in a cookie every request carries them.

        A byte of flags, the time, the key, the account; a key of another form is preceded by its
        length.
        """
        usual = _USUAL_KEY.fullmatch(self.api_key)
        key = bytes.fromhex(usual[1]) if usual else self.api_key.encode()
        user = self.openrouter_user_id
        flags = (_IS_USUAL if usual else 0) | (0 if user is None else _HAS_USER)
        return b"".join(
            (
                bytes((flags,)),
                self.connected_at.to_bytes(_TIME_BYTES, "big"),
                b"" if usual else len(key).to_bytes(2, "big"),
                key,
                # JSON can spell half a character, so an account may hold one.
                (user or "").encode(errors="surrogatepass"),
            )
        )

    @classmethod
    def from_bytes(cls, data: bytes) -> KeyRecord | None:
        """Read what :meth:`to_bytes` wrote; None for anything else."""
        if len(data) < _KEY_AT + 2 or data[0] > _IS_USUAL | _HAS_USER:
            return None
        is_usual, has_user = data[0] & _IS_USUAL, data[0] & _HAS_USER
        start = _KEY_AT if is_usual else _KEY_AT + 2
        end = start + (_KEY_BYTES if is_usual else int.from_bytes(data[_KEY_AT:start], "big"))
        key, user = data[start:end], data[end:]
        if len(data) < end or (user and not has_user):
            return None
        try:
            record = cls(
                f"sk-or-v1-{key.hex()}" if is_usual else key.decode("ascii"),
                user.decode(errors="surrogatepass") if has_user else None,
                int.from_bytes(data[1:_KEY_AT], "big"),
            )
        except ValueError:
            return None
        # A usual key cannot be malformed, so most requests skip the check.
        is_well_formed = record.connected_at <= _LATEST if is_usual else record._is_well_formed()
        return record if is_well_formed else None
