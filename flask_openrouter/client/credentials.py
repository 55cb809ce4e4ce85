"""The forms of keys and codes."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable
from typing import Any, Final

#: Keys are opaque; this is what can stand in a header, and nothing that could split one.
_API_KEY: Final = re.compile(r"[!-~]{8,512}")
#: RFC 6749 §A.11, without the blank, which OpenRouter does not use.
_CODE: Final = re.compile(r"[!-~]{1,1024}")

MALFORMED_KEY: Final = "api_key must be 8 to 512 printable ASCII characters without blanks"


def is_api_key(value: object) -> bool:
    """Whether ``value`` can be a key: 8 to 512 printable ASCII characters without blanks."""
    return isinstance(value, str) and _API_KEY.fullmatch(value) is not None


def hash_of_key(api_key: str) -> str:
    """Return the SHA-256 by which OpenRouter's pages know a key (guide "OAuth PKCE")."""
    return hashlib.sha256(api_key.encode()).hexdigest()


def authorizer(api_key: str) -> Callable[[Any], None]:
    """Return what puts the key on a request, and takes cookies off it.

    A closure: no dump of attributes shows the key.
    """

    def authorize(request: Any) -> None:
        request.headers.pop("Cookie", None)
        request.headers["Authorization"] = f"Bearer {api_key}"

    return authorize


def is_code(value: object) -> bool:
    """Whether ``value`` can be a code: 1 to 1024 printable ASCII characters without blanks."""
    return isinstance(value, str) and _CODE.fullmatch(value) is not None
