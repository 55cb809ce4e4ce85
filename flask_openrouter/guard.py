"""``requires_openrouter_key``: a view that runs with a usable key, or not at all."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Coroutine
from functools import wraps
from typing import Any, Final, ParamSpec, Protocol, TypeVar, overload

from flask import Blueprint, Response, jsonify

from .callbacks import call
from .connection import get_connection
from .current import this_app, this_request
from .errors import KeyRejectedError, KeyStorageError, NotConnectedError
from .pages import (
    is_htmx,
    is_script,
    login_url_for,
    page_of_visitor,
    protect_page,
    see_other,
    show_problem,
)
from .problems import PROBLEMS, Problem
from .redirects import safe_next
from .services import get_services

P = ParamSpec("P")
R = TypeVar("R")
OnMissing = str | Callable[[], Any]

_MARK: Final = "_openrouter_is_guarded_elsewhere"


class _Guard(Protocol):
    @overload
    def __call__(
        self, view: Callable[P, Coroutine[Any, Any, R]], /
    ) -> Callable[P, R | Response]: ...
    @overload
    def __call__(self, view: Callable[P, R], /) -> Callable[P, R | Response]: ...


# The guard awaits an async view: what it returns is no coroutine.
@overload
def requires_openrouter_key(
    view: Callable[P, Coroutine[Any, Any, R]], /
) -> Callable[P, R | Response]: ...
@overload
def requires_openrouter_key(view: Callable[P, R], /) -> Callable[P, R | Response]: ...
@overload
def requires_openrouter_key(
    *, on_missing: OnMissing | None = None, next: str | None = None
) -> _Guard: ...


def requires_openrouter_key(
    view: Callable[..., Any] | None = None,
    /,
    *,
    on_missing: OnMissing | None = None,
    next: str | None = None,
) -> Any:
    """Run the view only for visitors who have connected OpenRouter.

    Goes below the route decorator. Others are asked to connect: a browser is redirected to the
    login and comes back to this page; a script gets 401 with JSON ``{error, message, login_url}``;
    htmx gets ``HX-Redirect``. ``OPTIONS`` passes. A key that OpenRouter rejects meanwhile
    (:class:`KeyRejectedError`) counts as none.

    ``on_missing``: ``"redirect"``, ``"json"``, or a callable that returns the answer; by default
    the request decides. ``next``: a path to come back to instead of this page. Works for plain and
    async functions; for class-based views use ``decorators = [requires_openrouter_key]``.

    Raises TypeError and ValueError for wrong arguments, when the view is decorated.
    """
    if not (on_missing is None or callable(on_missing) or on_missing in ("redirect", "json")):
        raise ValueError('on_missing must be "redirect", "json" or a callable.')
    if next is not None and safe_next(next, own_path="//") is None:
        raise ValueError("next must be a path on this host, such as /chat.")
    if view is None:
        return lambda view: _guard(view, on_missing, next)
    return _guard(view, on_missing, next)


def _guard(
    view: Callable[..., Any], on_missing: OnMissing | None, next_url: str | None
) -> Callable[..., Any]:
    if inspect.isclass(view) or not callable(view):
        raise TypeError(
            "requires_openrouter_key guards functions. In a class-based view write"
            " decorators = [requires_openrouter_key]."
        )

    @wraps(view)
    def guarded(*args: Any, **kwargs: Any) -> Any:
        answer = refuse(on_missing, next_url)
        if answer is not None:
            return answer
        run = this_app().ensure_sync(view)
        try:
            return run(*args, **kwargs)
        except (KeyRejectedError, NotConnectedError) as error:
            rejected = error
        return heal(rejected, on_missing, next_url)

    # See refuse_open_view: a route that was given the bare view must not serve it.
    guarded.__dict__.pop(_MARK, None)
    bare: Any = view
    while inspect.isfunction(bare) and _MARK not in bare.__dict__:
        bare.__dict__[_MARK] = True
        # Other decorators may stand between the route's and ours.
        bare = getattr(bare, "__wrapped__", None)
    return guarded


def refuse(on_missing: OnMissing | None = None, next_url: str | None = None) -> Any:
    """Return the answer for a visitor without a key, or None when the view may run."""
    if this_request().method == "OPTIONS":
        return None
    if get_connection(no_store=True):
        return None
    return ask_to_connect(PROBLEMS["key_required"], on_missing, next_url)


def heal(
    error: KeyRejectedError | NotConnectedError,
    on_missing: OnMissing | None = None,
    next_url: str | None = None,
) -> Any:
    """Forget a key that OpenRouter rejects, and ask the visitor to connect again."""
    try:
        connection = get_connection()
        if isinstance(error, NotConnectedError):
            problem, is_meant = PROBLEMS["key_required"], not connection
        else:
            problem, is_meant = PROBLEMS["key_rejected"], connection.is_meant_by(error)
            if is_meant:
                connection.forget_rejected()
    except KeyStorageError:
        # Answered here: as an error handler, this function must not fail.
        return show_problem(PROBLEMS["storage_unavailable"])
    if not is_meant:
        # Some other key is missing or dead, such as one of the app: that is the view's trouble.
        raise error
    return ask_to_connect(problem, on_missing, next_url)


def ask_to_connect(
    problem: Problem, on_missing: OnMissing | None = None, next_url: str | None = None
) -> Any:
    """Return the answer that asks this visitor to connect, in the words of their client."""
    handler = get_services().callbacks.unauthorized_handler if on_missing is None else on_missing
    if callable(handler):
        return _answer_of(handler)
    from_script = is_script()
    login_url = login_url_for(next_url or page_of_visitor(from_script=from_script))
    if on_missing == "redirect" or (on_missing is None and not from_script):
        return see_other(login_url)
    response = jsonify(error=problem.code, message=problem.title, login_url=login_url)
    response.status_code = 401
    if is_htmx():
        response.headers["HX-Redirect"] = login_url
    return protect_page(response)


def _answer_of(handler: Callable[[], Any]) -> Any:
    answer = call(handler)
    if answer is None:
        # Flask would take None as leave to run the view.
        raise TypeError(
            f"{handler!r} returned no answer for a visitor without a key. Is a return missing?"
        )
    return answer


def refuse_open_view() -> None:
    """Stop a view whose guard was put above its route: the route knows the bare function only."""
    endpoint = this_request().endpoint
    if endpoint is not None and hasattr(this_app().view_functions.get(endpoint), _MARK):
        raise RuntimeError(
            f"The view {endpoint!r} is not guarded: requires_openrouter_key stands above the route"
            " decorator. Put it below, next to the function."
        )


def protect(blueprint: Blueprint) -> None:
    """Guard every view of this blueprint, as :func:`requires_openrouter_key` guards one.

    Handlers of errors that the blueprint registers afterwards win over what the guard does.

    Raises TypeError for anything else: guarding a whole app would guard the login, too.
    """
    if not isinstance(blueprint, Blueprint):
        raise TypeError("protect guards a blueprint: pass one, before it is registered.")
    blueprint.before_request(refuse)
    # The blueprint's own, so that a handler of its for every Exception does not come first.
    blueprint.register_error_handler(KeyRejectedError, heal)
    blueprint.register_error_handler(NotConnectedError, heal)
