"""What goes with the answer to a request, whatever the app's own hooks make of it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from flask import Response, after_this_request, has_request_context

from .current import kept_with_request

Step = Callable[[Response], object]

_STEPS: Final = "_openrouter_steps"
_IS_FINISHED: Final = "_openrouter_is_finished"


def finish_with(step: Step) -> None:
    """Have ``step`` called with the answer before the app's hooks, which see what it did.

    And again after those that were registered later than the extension, which may have undone it
    or made another answer: a step can be repeated.
    """
    kept = kept_with_request()
    if _STEPS not in kept:
        kept[_STEPS] = {}
        after_this_request(_take_steps)
    kept[_STEPS][step] = None


def is_open() -> bool:
    """Whether there is an answer to which something can still be added."""
    return has_request_context() and _IS_FINISHED not in kept_with_request()


def finish(response: Response) -> Response:
    """Add what is missing after the app's hooks."""
    kept_with_request()[_IS_FINISHED] = True
    return _take_steps(response)


def _take_steps(response: Response) -> Response:
    # A copy: threads of the app may share the request.
    for step in [*kept_with_request().get(_STEPS, ())]:
        step(response)
    return response
