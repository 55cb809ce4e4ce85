"""The end of a log line: whose key it is about, and which request."""

from __future__ import annotations

import hashlib
import re
from typing import Final

from .web import this_request

#: Ids as proxies make them. Anything else could pass for another line, or flood the log. No key is
#: an id.
_REQUEST_ID: Final = re.compile(r"(?!.*sk-or-)[A-Za-z0-9._:=+/-]{1,64}")


def log_note(owner_id: str | None = None) -> str:
    """Return ``" [owner …, request …]"``, or what is known of it, or ``""``.

    An owner appears as the first 12 digits of the SHA-256 of their id, a request as its
    ``X-Request-ID``.
    """
    known = []
    if owner_id is not None:
        known.append(f"owner {hashlib.sha256(owner_id.encode(errors='replace')).hexdigest()[:12]}")
    try:
        request_id = this_request().headers.get("X-Request-ID", "")
    except RuntimeError:
        # A command has no request.
        request_id = ""
    if _REQUEST_ID.fullmatch(request_id):
        known.append(f"request {request_id}")
    return f" [{', '.join(known)}]" if known else ""
