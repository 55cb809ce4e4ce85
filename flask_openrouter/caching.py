"""What caches may do with the answer to this request (RFC 9111)."""

from __future__ import annotations

from typing import Final

from flask import Response, after_this_request

from .current import this_request

_ENVIRON_KEY: Final = "flask_openrouter.no_store"


def forbid_sharing(*, no_store: bool = False) -> None:
    """Have the answer say that it is for this browser alone.

    ``no_store``: and that nobody keeps it, unless the view itself says how long it may be kept.
    """
    environ = this_request().environ
    if no_store or _ENVIRON_KEY not in environ:
        after_this_request(_declare)
    environ[_ENVIRON_KEY] = no_store or environ.get(_ENVIRON_KEY, False)


def vary_by_cookie(response: Response) -> Response:
    """Tell caches that this response is for this browser alone."""
    for name, value in response.headers:
        if name.lower() == "vary":
            if value != "Cookie":
                response.vary.add("Cookie")
            return response
    response.headers.add("Vary", "Cookie")
    return response


def _declare(response: Response) -> Response:
    no_store = this_request().environ[_ENVIRON_KEY]
    if no_store and not any(name.lower() == "cache-control" for name, _ in response.headers):
        response.headers.add("Cache-Control", "no-store")
    return vary_by_cookie(response)
