"""Headers that tell caches for whom a response is (RFC 9111)."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Final

#: A view whose Cache-Control has one of these words has decided who may keep the response.
_NAMES_AUDIENCE: Final = re.compile(r"public|private|no-store", re.I)


def missing_headers(
    headers: Iterable[tuple[str, str]], audience: str | None, vary: list[str]
) -> dict[str, str]:
    """Return the cache headers that these response headers lack, or have incomplete.

    ``audience``: ``private``; ``no-store``, unless the view says how long the response may be kept;
    or None. ``vary``: the request headers that the response depends on.
    """
    found: dict[str, list[str]] = {"cache-control": [], "vary": []}
    for name, value in headers:
        lower_name = name.lower()
        if lower_name in found:
            found[lower_name].append(value)
    cache_control = found["cache-control"]
    missing: dict[str, str] = {}
    if audience and not cache_control:
        missing["Cache-Control"] = audience
    elif audience and not _NAMES_AUDIENCE.search(" ".join(cache_control)):
        missing["Cache-Control"] = ", ".join((*cache_control, "private"))
    if vary and found["vary"] != vary:
        missing["Vary"] = complete_vary(found["vary"], vary)
    return missing


def complete_vary(vary: list[str], names: list[str]) -> str:
    """Return the value of ``Vary`` that has these values and these names of headers."""
    if not vary:
        return ", ".join(names)
    present = {name.strip() for name in ",".join(vary).lower().split(",")}
    return ", ".join([*vary, *(name for name in names if name.lower() not in present)])
