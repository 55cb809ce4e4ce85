"""The app and the request that are being served: themselves, not Flask's proxies.

Each attribute that is read through a proxy costs more than most of what a guarded request does.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final, cast

from flask import Flask, Request, current_app, request
from werkzeug.local import LocalProxy

_App = LocalProxy[Flask]
_Request = LocalProxy[Request]

#: Returns the current app. Raises RuntimeError outside of an app context.
this_app: Final[Callable[[], Flask]] = cast(_App, current_app)._get_current_object  # pyright: ignore[reportPrivateUsage]

#: Returns the current request. Raises RuntimeError outside of a request.
this_request: Final[Callable[[], Request]] = cast(_Request, request)._get_current_object  # pyright: ignore[reportPrivateUsage]


def kept_with_request() -> dict[str, Any]:
    """Return what is kept with the current request, and with no other.

    Not its environment, which may serve for another request as well; nor g, which lives as long as
    the app context. Raises RuntimeError outside of a request.
    """
    return vars(this_request())
