"""Errors as values: how an exception leaves this package without the secrets around it.

An exception carries the locals of every frame it passes (error reporters show them), its causes,
and what those hold: the request with its body, the answer. So below the public methods nothing is
raised. An error is returned, and the public method raises it when its own frame holds no secret any
more.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import ParamSpec, TypeVar

P = ParamSpec("P")
T = TypeVar("T")


def outcome_of(function: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> T | BaseException:
    """Return what ``function`` returns, or the exception that it raises, cleaned."""
    try:
        return function(*args, **kwargs)
    except BaseException as error:
        return without_trace(error)


def without_trace(error: BaseException) -> BaseException:
    """Return ``error`` without its frames and causes."""
    error.__cause__ = error.__context__ = None
    return error.with_traceback(None)
