"""The guard ``requires_openrouter_key``: views run with a usable key, or not at all."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Coroutine
from functools import wraps
from typing import Any, Final, ParamSpec, Protocol, TypeVar, overload

from flask import Blueprint, Response, make_response

from .connection import get_connection
from .errors import KeyRejectedError, KeyStorageError, NotConnectedError, OutOfCreditError
from .login.fallback import mark_fallback, may_use_fallback
from .misplaced import mark
from .pages.language import gettext
from .pages.responses import as_exception, see_other, show_data, show_problem
from .pages.urls import login_url_for, page_of_visitor, safe_next
from .pages.visit import is_boosted, is_htmx, is_script
from .problems import PROBLEMS, Problem
from .web import call_app_function, get_services, overrides, this_app, this_request
from .web.awaiting import is_loop_running

P = ParamSpec("P")
R = TypeVar("R")
OnMissing = str | Callable[[], Any]
Handled = KeyRejectedError | NotConnectedError | OutOfCreditError

#: Errors that the guard turns into a response.
_HANDLED: Final = (KeyRejectedError, NotConnectedError)

#: Packages whose decorators serialize whatever a method of a resource returns.
_SERIALIZERS: Final = ("flask_restx", "flask_restful", "flask_restplus")


class _Guard(Protocol):
    @overload
    def __call__(
        self, view: Callable[P, Coroutine[Any, Any, R]], /
    ) -> Callable[P, R | Response]: ...
    @overload
    def __call__(self, view: Callable[P, R], /) -> Callable[P, R | Response]: ...


# The guard awaits an async view, so a guarded view returns no coroutine.
@overload
def requires_openrouter_key(
    view: Callable[P, Coroutine[Any, Any, R]], /
) -> Callable[P, R | Response]: ...
@overload
def requires_openrouter_key(view: Callable[P, R], /) -> Callable[P, R | Response]: ...
@overload
def requires_openrouter_key(
    *,
    on_missing: OnMissing | None = None,
    next: str | None = None,
    raises: bool = False,
    fallback: bool = False,
) -> _Guard: ...


def requires_openrouter_key(
    view: Callable[..., Any] | None = None,
    /,
    *,
    on_missing: OnMissing | None = None,
    next: str | None = None,
    raises: bool = False,
    fallback: bool = False,
) -> Any:
    """Run the view only for visitors who have connected OpenRouter.

    Put it below the route decorator. Other visitors are asked to connect: a browser is redirected
    to the login and comes back to this page; a script gets 401 with JSON
    ``{error, message, login_url}``; htmx gets ``HX-Redirect``. ``OPTIONS`` requests pass. If
    OpenRouter rejects the key while the view runs (:class:`KeyRejectedError`), the visitor is
    asked to connect again.

    ``on_missing``: ``"redirect"``, ``"json"``, or a callable that returns the response; by default
    the request decides. ``next``: a path to come back to instead of this page. ``raises``: that
    response is raised as an HTTPException, so that a decorator above, such as one that serializes,
    does not take it for the view's value; always so in resources of Flask-RESTX and Flask-RESTful.
    ``fallback``: visitors without a key run the view on the app's own key, if
    :meth:`OpenRouterAuth.fallback_key` returns one; when its credit is spent, they are asked to
    connect. Works for plain and async functions. For class-based views use
    ``decorators = [requires_openrouter_key]``.

    Raises TypeError or ValueError for wrong arguments, when the view is decorated. With
    ``fallback``, a request without a key raises :class:`ConfigurationError` if the app has no such
    function.
    """
    if not (on_missing is None or callable(on_missing) or on_missing in ("redirect", "json")):
        raise ValueError('on_missing must be "redirect", "json" or a callable.')
    if next is not None and safe_next(next, own_path="//") is None:
        raise ValueError("next must be a path on this host, such as /chat.")
    if not isinstance(fallback, bool):
        raise TypeError("fallback is True or False. @auth.fallback_key registers the function.")
    if view is None:
        return lambda view: _guard(view, on_missing, next, raises, fallback)
    return _guard(view, on_missing, next, raises, fallback)


def _guard(
    view: Callable[..., Any],
    on_missing: OnMissing | None,
    next_url: str | None,
    raises: bool,
    fallback: bool,
) -> Callable[..., Any]:
    if inspect.isclass(view) or not callable(view):
        raise TypeError(
            "requires_openrouter_key guards functions. In a class-based view write"
            " decorators = [requires_openrouter_key]."
        )

    handled = (*_HANDLED, OutOfCreditError) if fallback else _HANDLED
    is_async = inspect.iscoroutinefunction(view)

    async def guard_later(*args: Any, **kwargs: Any) -> Any:
        response = refuse(on_missing, next_url, fallback)
        if response is not None:
            return _deliver(response, raises)
        try:
            return await view(*args, **kwargs)
        except handled as error:
            failure = error
        return _deliver(reconnect_or_raise(failure, on_missing, next_url), raises)

    @wraps(view)
    def guarded(*args: Any, **kwargs: Any) -> Any:
        if is_async and is_loop_running():
            # An async decorator above the guard awaits what it takes for the view.
            return guard_later(*args, **kwargs)
        response = refuse(on_missing, next_url, fallback)
        if response is not None:
            return _deliver(response, raises)
        run, app = view, this_app()
        if is_async or overrides(app, "ensure_sync"):
            run = app.ensure_sync(view)
        try:
            return run(*args, **kwargs)
        except handled as error:
            failure = error
        return _deliver(reconnect_or_raise(failure, on_missing, next_url), raises)

    mark(guarded, view)
    if fallback:
        mark_fallback(guarded)
    return guarded


def _deliver(response: Any, raises: bool) -> Any:
    """Return this response in place of a view's value, or raise it."""
    view = this_app().view_functions.get(this_request().endpoint or "")
    resource = getattr(view, "view_class", None)
    if raises or (resource is not None and _serializes(resource)):
        raise as_exception(make_response(response))
    return response


def _serializes(resource: type) -> bool:
    return any(each.__module__.startswith(_SERIALIZERS) for each in resource.__mro__)


def refuse(
    on_missing: OnMissing | None = None, next_url: str | None = None, fallback: bool | None = None
) -> Any:
    """Return the response for a visitor without a key, or None when the view may run.

    ``fallback``: whether it may run on the app's own key; None asks the guard of the view itself.
    """
    if this_request().method == "OPTIONS":
        return None
    connection = get_connection(no_store=True)
    if connection:
        return None
    if connection.is_set_aside_again:
        return show_problem(PROBLEMS["new_key_rejected"])
    if fallback is None:
        fallback = may_use_fallback(this_app().view_functions.get(this_request().endpoint or ""))
    problem: Problem | None = PROBLEMS["key_required"]
    if fallback:
        problem = connection._use_fallback()  # pyright: ignore[reportPrivateUsage]
    if problem is None:
        return None
    if problem.is_of_call:
        return show_problem(problem)
    return ask_to_connect(problem, on_missing, next_url)


def reconnect_or_raise(
    error: Handled, on_missing: OnMissing | None = None, next_url: str | None = None
) -> Any:
    """Set aside a key that OpenRouter rejects, and ask the visitor to connect again.

    A visitor who uses the app's own key is asked to connect when its credit is spent. Raises
    ``error`` if it is another lack of credit, or if the key of another owner is missing.
    """
    problem = PROBLEMS["key_required"]
    try:
        connection = get_connection()
        is_of_fallback = not isinstance(error, NotConnectedError) and (
            connection._is_of_fallback(error)  # pyright: ignore[reportPrivateUsage]
        )
        if isinstance(error, KeyRejectedError):
            problem = PROBLEMS["key_rejected"]
            is_visitors = connection.is_meant_by(error)
            # Raised by the view itself, or by a client that the view made.
            if is_visitors and connection and not connection.report_rejection(error):
                return show_problem(PROBLEMS["unconfirmed"], error=error)
        elif isinstance(error, OutOfCreditError):
            is_visitors = is_of_fallback
        else:
            is_visitors = not connection
    except KeyStorageError:
        # Handled here, because this function is an error handler and must not fail.
        return show_problem(PROBLEMS["storage_unavailable"])
    if not is_visitors and not isinstance(error, KeyRejectedError):
        # The key of another owner is missing or spent. The app must handle that.
        raise error
    if is_of_fallback and isinstance(error, KeyRejectedError):
        return show_problem(PROBLEMS["fallback_failed"], error=error)
    if not is_visitors:
        # Another key is rejected, such as the app's own: connecting again would not help.
        return show_problem(PROBLEMS["request_failed"], error=error)
    if connection.is_set_aside_again:
        return show_problem(PROBLEMS["new_key_rejected"])
    return ask_to_connect(problem, on_missing, next_url)


def ask_to_connect(
    problem: Problem, on_missing: OnMissing | None = None, next_url: str | None = None
) -> Any:
    """Return the response that asks this visitor to connect, as a redirect or as JSON."""
    handler: object = on_missing
    if on_missing is None:
        handler = get_services().app_functions.unauthorized_handler
    if callable(handler):
        return _call_handler(handler)
    from_script = is_script()
    login_url = login_url_for(
        next_url or page_of_visitor(from_script=from_script and not is_boosted())
    )
    if on_missing == "redirect" or (on_missing is None and not from_script):
        return see_other(login_url)
    response = show_data(
        401, error=problem.code, message=gettext(problem.title), login_url=login_url
    )
    if is_htmx():
        response.headers["HX-Redirect"] = login_url
    return response


def _call_handler(handler: Callable[[], Any]) -> Any:
    response = call_app_function(handler)
    if response is None:
        # From before_request, Flask takes None as permission to run the view.
        raise TypeError(
            f"{handler!r} returned no response for a visitor without a key. Is a return missing?"
        )
    return response


def protect(blueprint: Blueprint) -> None:
    """Guard every view of a blueprint, as :func:`requires_openrouter_key` guards one.

    Error handlers that the blueprint registers later override those of the guard.

    Raises TypeError for anything but a blueprint: guarding the whole app would guard the login.
    """
    if not isinstance(blueprint, Blueprint):
        raise TypeError("protect guards a blueprint: pass one, before it is registered.")
    blueprint.before_request(refuse)
    # On the blueprint, because a blueprint's own handler for Exception precedes the app's handlers.
    blueprint.register_error_handler(KeyRejectedError, reconnect_or_raise)
    blueprint.register_error_handler(NotConnectedError, reconnect_or_raise)
