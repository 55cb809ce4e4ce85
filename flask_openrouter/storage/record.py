"""What is kept for one connected visitor."""

from __future__ import annotations

import json
import zlib
from dataclasses import dataclass, field
from typing import Final

from ..secret import HoldsSecret

# Words that every record holds. Compressing against them halves a record, which for most apps
# travels in a cookie with every request.
_DICTIONARY = (
    b'"user_ee10,"sk-or-v1-0123456789abcdef{"api_key":"","connected_at":1,"user_id":null"}'
)

#: The last second that a datetime can hold.
_LATEST: Final = 253_402_300_799


@dataclass(frozen=True, slots=True)
class KeyRecord(HoldsSecret):
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
            isinstance(self.api_key, str)
            and 8 <= len(self.api_key) <= 512
            and self.api_key.isascii()
            and self.api_key.isprintable()
            and " " not in self.api_key
            and isinstance(self.openrouter_user_id, str | None)
            and type(self.connected_at) is int
            and 0 <= self.connected_at <= _LATEST
        )

    def to_bytes(self) -> bytes:
        """Return the record as few bytes, for encryption. Never use the length as a secret."""
        deflate = zlib.compressobj(9, zlib.DEFLATED, -zlib.MAX_WBITS, zdict=_DICTIONARY)
        return deflate.compress(self.to_json().encode()) + deflate.flush()

    @classmethod
    def from_bytes(cls, data: bytes) -> KeyRecord | None:
        """Read what :meth:`to_bytes` wrote; None for anything else."""
        inflate = zlib.decompressobj(-zlib.MAX_WBITS, zdict=_DICTIONARY)
        try:
            return cls.from_json(inflate.decompress(data, 4096))
        except zlib.error:
            return None
