"""Error handlers that no other handler of the app may hide.

An app can have handlers that are nearer to a view than ours: those of a nested blueprint, and those
of Flask-RESTX and Flask-RESTful, which take all errors of their resources. A handler for Exception
there would turn a dead key into an error 500.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from typing import Any, Final

from flask import Flask

from .. import guard
from ..errors import KeyRejectedError, NotConnectedError, OpenRouterError
from ..pages.responses import response_in

_HEALED: Final = (KeyRejectedError, NotConnectedError)
_REPLACED: Final = "handle_user_exception"


def give_precedence(app: Flask) -> None:
    """Let our handlers come before others that take every exception. Once, when all are there."""
    _add_to_nested(app)
    # With this setting Flask handles no HTTPException, such as a refusal that the guard raises.
    if _REPLACED in vars(app) or app.config["TRAP_HTTP_EXCEPTIONS"]:
        vars(app)[_REPLACED] = partial(_handle, app, getattr(app, _REPLACED))


def _add_to_nested(app: Flask) -> None:
    """Add the handlers of protected blueprints to the blueprints that are nested in them."""
    protected = [
        name
        for name, functions in app.before_request_funcs.items()
        if name is not None and guard.refuse in functions
    ]
    for name in app.blueprints:
        handlers = app.error_handler_spec[name][None]
        if not any(name.startswith(f"{outer}.") for outer in protected):
            continue
        for kind in _HEALED:
            # A handler for one of our errors is the app's own decision; one for Exception is not.
            if not any(
                issubclass(own, OpenRouterError) and issubclass(kind, own) for own in handlers
            ):
                handlers[kind] = guard.reconnect_or_raise


def _handle(app: Flask, replaced: Callable[[Exception], Any], error: Exception) -> Any:
    """Handle an exception of a view in an app where an extension has taken over that task."""
    response = response_in(error)
    if response is not None:
        return response
    if isinstance(error, OpenRouterError) and not _is_handled_by_api(replaced, error):
        try:
            return type(app).handle_user_exception(app, error)
        except type(error) as raised:
            if raised is not error:
                raise
    return replaced(error)


def _is_handled_by_api(replaced: Callable[[Exception], Any], error: Exception) -> bool:
    """Whether the app has given a REST API a handler for one of our errors."""
    return any(
        issubclass(kind, OpenRouterError) and isinstance(error, kind)
        for api in _apis(replaced)
        for name in ("_own_and_child_error_handlers", "error_handlers")
        for kind in getattr(api, name, ())
    )


def _apis(replaced: Any) -> Iterator[object]:
    # Each API wraps the handler that was there before: partial(api.error_router, handler).
    while isinstance(replaced, partial):
        yield getattr(replaced.func, "__self__", None)
        replaced = next(iter(replaced.args), None)
