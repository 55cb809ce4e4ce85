"""What goes with the answer to a request, whatever the app's own hooks make of it."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Final

from flask import Response, after_this_request, has_request_context

from .current import kept_with_request

Step = Callable[[Response], object]
#: Each step, and the answer with which it was called last.
Steps = dict[Step, Response | None]

_STEPS: Final = "_openrouter_steps"
_IS_FINISHED: Final = "_openrouter_is_finished"


def finish_with(step: Step) -> None:
    """Have ``step`` called with the answer before the app's hooks, which see what it did.

    After those that were registered later than the extension, if it was one of them that asked for
    it; and again if they made another answer.
    """
    kept = kept_with_request()
    steps: Steps | None = kept.get(_STEPS)
    if steps is None:
        steps = kept[_STEPS] = {}
        after_this_request(partial(_take, steps))
    steps[step] = None


def is_open() -> bool:
    """Whether there is an answer to which something can still be added."""
    return has_request_context() and _IS_FINISHED not in kept_with_request()


def finish(response: Response) -> Response:
    """Add what is missing after the app's hooks."""
    kept = kept_with_request()
    kept[_IS_FINISHED] = True
    return _take(kept.get(_STEPS, {}), response)


def _take(steps: Steps, response: Response) -> Response:
    # A copy: threads of the app may share the request.
    for step, answer in [*steps.items()]:
        if answer is not response:
            steps[step] = response
            step(response)
    return response
