"""Response headers that must hold: our cookies, and for whom a response is (RFC 9111)."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Final

Header = tuple[str, str]

#: A view whose Cache-Control has one of these words has decided who may keep the response.
_NAMES_AUDIENCE: Final = re.compile(r"public|private|no-store", re.I)


def incomplete_headers(
    headers: Iterable[Header], audience: str | None, vary: str, cookies: Mapping[str, str]
) -> tuple[list[Header], list[Header]]:
    """Return the headers that these response headers must lose, and those that they must get.

    ``audience``: ``private``; ``no-store``, unless the view says how long the response may be kept;
    or None. ``vary``: the request headers that the response depends on, or ``""``. ``cookies``: the
    ``Set-Cookie`` lines of the response by the names of the cookies, in place of any others.
    """
    headers = [*headers]
    if not cookies and ("Cache-Control", audience) in headers and ("Vary", vary) in headers:
        # As it is most often, when all hooks of the app have run.
        return [], []
    found: dict[str, list[Header]] = {"cache-control": [], "vary": [], "set-cookie": []}
    for header in headers:
        name = header[0].lower()
        if name in found:
            found[name].append(header)
    dropped: list[Header] = []
    added: list[Header] = []
    if audience and not found["cache-control"]:
        added.append(("Cache-Control", audience))
    elif audience:
        control = [value for _, value in found["cache-control"]]
        if not _NAMES_AUDIENCE.search(" ".join(control)):
            dropped += found["cache-control"]
            added.append(("Cache-Control", ", ".join((*control, "private"))))
    if vary and not found["vary"]:
        added.append(("Vary", vary))
    elif vary and found["vary"][0][1] != vary:
        dropped += found["vary"]
        added.append(("Vary", complete_vary([value for _, value in found["vary"]], vary)))
    if cookies:
        ours = [line for line in found["set-cookie"] if line[1].partition("=")[0] in cookies]
        if [line for _, line in ours] != [*cookies.values()]:
            dropped += ours
            added += [("Set-Cookie", line) for line in cookies.values()]
    return dropped, added


def complete_vary(present: list[str], vary: str) -> str:
    """Return the value of ``Vary`` that has these values and these names of headers."""
    names = {name.strip() for name in ",".join(present).lower().split(",")}
    missing = [name for name in vary.split(", ") if name.lower() not in names]
    return ", ".join([*present, *missing])
