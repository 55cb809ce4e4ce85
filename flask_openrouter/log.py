"""Log lines about keys: whose key it is, and which request."""

from __future__ import annotations

import hashlib
import logging
import re
from typing import TYPE_CHECKING, Final

from .signals import key_connected
from .web import send_signal, this_request

if TYPE_CHECKING:
    from flask import Flask

logger: Final = logging.getLogger("flask_openrouter")

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


def report_connected(
    event: str, app: Flask, owner_id: str, user_id: str | None, previous_user_id: str | None
) -> None:
    """Log that an owner has a key now, and send the signal ``key_connected``.

    ``user_id``: the OpenRouter account; ``previous_user_id``: the one connected before.
    """
    logger.info("%s%s", event, log_note(owner_id))
    send_signal(
        key_connected,
        app,
        owner_id=owner_id,
        openrouter_user_id=user_id,
        previous_openrouter_user_id=previous_user_id,
    )
