"""Short texts from other programs: labels, ids and UUIDs."""

from __future__ import annotations

import re
from typing import Any, TypeGuard

#: Longest label of a key, and longest id of an account, in characters.
MAX_LABEL_LENGTH = 100

_UUID = re.compile(r"[0-9A-Fa-f]{8}(?:-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}", re.ASCII)


def is_label(value: Any) -> TypeGuard[str]:
    """Whether ``value`` is a short string that a page can show."""
    return isinstance(value, str) and len(value) <= MAX_LABEL_LENGTH and is_encodable(value)


def is_encodable(text: str) -> bool:
    """Whether UTF-8 can encode ``text``. JSON can contain half of a surrogate pair, UTF-8 not."""
    return not any("\ud800" <= character <= "\udfff" for character in text)


def is_uuid(value: Any) -> TypeGuard[str]:
    """Whether ``value`` is a UUID with hyphens, in upper or lower case."""
    return isinstance(value, str) and _UUID.fullmatch(value) is not None
