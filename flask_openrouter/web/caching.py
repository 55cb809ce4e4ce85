"""Response headers that must hold: our cookies, and for whom a response is (RFC 9111)."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Final

Header = tuple[str, str]

#: One directive of Cache-Control. A quoted value may contain commas (RFC 9110 §5.6.4).
_DIRECTIVE: Final = re.compile(r'(?:[^,"]|"(?:[^"\\]|\\.)*"?)+')
#: A view that sets one of these directives has decided who may keep the response.
_AUDIENCES: Final = frozenset({"public", "private", "no-store"})
#: The ends of the names of headers that some caches obey instead of Cache-Control (RFC 9213).
_OVERRIDES: Final = ("-cache-control", "surrogate-control", "x-accel-expires")


def incomplete_headers(
    headers: Iterable[Header],
    audience: str | None,
    vary: str,
    cookies: Mapping[str, str],
    is_own: bool,
) -> tuple[list[Header], list[Header]]:
    """Return the headers that these response headers must lose, and those that they must get.

    ``audience``: ``private``; ``no-store``, unless the view says how long the response may be kept;
    or None. ``vary``: the request headers that the response depends on, or ``""``. ``cookies``: the
    ``Set-Cookie`` lines of the response by the names of the cookies, in place of any others.
    ``is_own``: whether the response is the extension's own. The app decides neither on the caching
    of such a response nor of one that sets our cookies: a cache would give it to other visitors.
    """
    headers = [*headers]
    is_exclusive = is_own or bool(cookies)
    if not is_exclusive and ("Cache-Control", audience) in headers and ("Vary", vary) in headers:
        # As it is most often, when all hooks of the app have run.
        return [], []
    dropped: list[Header] = []
    added: list[Header] = []
    found: dict[str, list[Header]] = {"cache-control": [], "vary": [], "set-cookie": []}
    for header in headers:
        name = header[0].lower()
        if name in found:
            found[name].append(header)
        elif is_exclusive and name.endswith(_OVERRIDES):
            dropped.append(header)
    control = [value for _, value in found["cache-control"]]
    if is_exclusive:
        fitting = "no-store" if is_own else audience or "no-store"
        if not control:
            added.append(("Cache-Control", fitting))
        elif control not in ([fitting], ["no-store"]):
            dropped += found["cache-control"]
            added.append(("Cache-Control", "no-store"))
    elif audience and not control:
        added.append(("Cache-Control", audience))
    elif audience:
        directives = [text.strip() for text in _DIRECTIVE.findall(",".join(control))]
        if _AUDIENCES.isdisjoint(map(str.lower, directives)):
            # private="Set-Cookie" lets a shared cache keep the rest (RFC 9111 §5.2.2.7).
            kept = [text for text in directives if not text.lower().startswith("private=")]
            dropped += found["cache-control"]
            added.append(("Cache-Control", ", ".join((*kept, "private"))))
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
