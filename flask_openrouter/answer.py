"""The last word on the answer to a request: after the app's own hooks, so that they are heard."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from flask import Response, has_request_context

from .current import this_app, this_request

Step = Callable[[Response], object]

_STEPS: Final = "flask_openrouter.steps"
_FINISHED: Final = "flask_openrouter.finished"


def finish_with(step: Step) -> None:
    """Have ``step`` called with the answer: once, however often this is asked for.

    Nothing happens when the answer is finished already.
    """
    # By app: one app may serve a request as a part of another's.
    steps = this_request().environ.setdefault(_STEPS, {})
    steps.setdefault(this_app(), {})[step] = None


def is_open() -> bool:
    """Whether there is an answer to which something can still be added."""
    return has_request_context() and this_request().environ.get(_FINISHED) is not this_app()


def finish(response: Response) -> Response:
    """Do what is left to do, once the app's own hooks are through."""
    app, environ = this_app(), this_request().environ
    environ[_FINISHED] = app
    steps = environ.get(_STEPS)
    if steps is not None:
        for step in steps.get(app, ()):
            step(response)
    return response
