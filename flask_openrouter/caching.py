"""What caches may do with the answer to this request (RFC 9111)."""

from __future__ import annotations

import re
from typing import Final

from flask import Response

from .answer import finish_with
from .current import this_request

_ENVIRON_KEY: Final = "flask_openrouter.no_store"
#: A view that says one of these has decided who may keep its answer.
_SAYS_WHO: Final = re.compile(r"public|private|no-store", re.I)


def forbid_sharing(*, no_store: bool = False) -> None:
    """Have the answer say that it is for this browser alone.

    ``no_store``: and that nobody keeps it, unless the view itself says how long it may be kept.
    """
    if no_store:
        this_request().environ[_ENVIRON_KEY] = True
    finish_with(_declare)


def vary_by_cookie(response: Response) -> None:
    """Tell caches that this response is for this browser alone."""
    for name, value in response.headers:
        if name.lower() == "vary":
            if value != "Cookie":
                response.vary.add("Cookie")
            return
    response.headers.add("Vary", "Cookie")


def _declare(response: Response) -> None:
    for name, value in response.headers:
        if name.lower() == "cache-control":
            if not _SAYS_WHO.search(value):
                response.headers.set(name, f"{value}, private")
            break
    else:
        no_store = _ENVIRON_KEY in this_request().environ
        response.headers.add("Cache-Control", "no-store" if no_store else "private")
    vary_by_cookie(response)
