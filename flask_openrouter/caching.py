"""What caches may do with the answer to this request (RFC 9111)."""

from __future__ import annotations

import re
from typing import Final

from flask import Response

from .answer import finish_with
from .current import kept_with_request

_NO_STORE: Final = "_openrouter_no_store"
#: A view that says one of these has decided who may keep its answer.
_SAYS_WHO: Final = re.compile(r"public|private|no-store", re.I)


def forbid_sharing(*, no_store: bool = False) -> None:
    """Have the answer say that it is for this browser alone.

    ``no_store``: and that nobody keeps it, unless the view itself says how long it may be kept.
    """
    if no_store:
        kept_with_request()[_NO_STORE] = True
    finish_with(_declare)


def vary_by_cookie(response: Response) -> None:
    """Tell caches that this response is for this browser alone."""
    said = response.headers.getlist("Vary")
    if not said:
        response.headers.add("Vary", "Cookie")
    elif said != ["Cookie"]:
        response.vary.add("Cookie")


def _declare(response: Response) -> None:
    said = response.headers.getlist("Cache-Control")
    if not said:
        no_store = _NO_STORE in kept_with_request()
        response.headers.add("Cache-Control", "no-store" if no_store else "private")
    elif not _SAYS_WHO.search(" ".join(said)):
        response.headers["Cache-Control"] = ", ".join((*said, "private"))
    vary_by_cookie(response)
