"""Where a visitor may be sent after a login: a path on this host, and nothing else."""

from __future__ import annotations

import re
from urllib.parse import unquote

from werkzeug.urls import iri_to_uri

#: Longer addresses are dropped: they would fill the session cookie.
MAX_NEXT_LENGTH = 1024

# One slash, not two; and nowhere a backslash, which browsers take for a slash, or a control
# character, for they delete tabs and newlines before they look.
_LOCAL_PATH = re.compile(r"/(?!/)[^\x00-\x1f\\\x7f-\xa0\u2028\u2029\ufeff\ud800-\udfff]*")
# What needs no encoding: most addresses.
_URI = re.compile(r"[A-Za-z0-9._~!$&'()*+,;=:@%/-]*(\?[A-Za-z0-9._~!$&'()*+,;=:@%/?-]+)?")
# The same, seen through one layer of percent-encoding, which servers and frameworks may remove.
_HIDDEN = re.compile(r"^//|[\x00-\x1f\x7f\\]|(^|/)\.\.?(/|$)")


def safe_next(value: object, *, own_path: str) -> str | None:
    """Return ``value`` as an address that is safe to redirect to, or None.

    Safe is an absolute path on this host, with query and fragment, of at most 1,024 characters,
    in ASCII (RFC 3986; other characters are percent-encoded). ``own_path`` is where the extension's
    routes live, such as ``"/openrouter"``: they are no place to land on.
    """
    if not isinstance(value, str) or len(value) > MAX_NEXT_LENGTH:
        return None
    if not _LOCAL_PATH.fullmatch(value):
        return None
    try:
        url = value if _URI.fullmatch(value) else iri_to_uri(value)
        path = unquote(url.partition("#")[0].partition("?")[0], errors="strict")
    except ValueError:
        return None
    if not _LOCAL_PATH.fullmatch(url) or _HIDDEN.search(path) or len(url) > MAX_NEXT_LENGTH:
        return None
    # Werkzeug redirects from two slashes in a row to one.
    path = re.sub("//+", "/", path.lower())
    if f"{path}/".startswith(f"{own_path.lower()}/"):
        return None
    return url
