"""The app and the request that are being served: themselves, not Flask's proxies.

Each attribute that is read through a proxy costs more than most of what a guarded request does.
"""

from __future__ import annotations

from typing import cast

from flask import Flask, Request, current_app, request
from werkzeug.local import LocalProxy


def this_app() -> Flask:
    """Return the current app. Raises RuntimeError outside of an app context."""
    proxy = cast(LocalProxy[Flask], current_app)
    return proxy._get_current_object()  # pyright: ignore[reportPrivateUsage]


def this_request() -> Request:
    """Return the current request. Raises RuntimeError outside of a request."""
    proxy = cast(LocalProxy[Request], request)
    return proxy._get_current_object()  # pyright: ignore[reportPrivateUsage]
