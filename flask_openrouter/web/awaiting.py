"""Calls of the app's functions, which may be ``async def``, from plain code in any view."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from contextvars import copy_context
from typing import Any, TypeVar

Result = TypeVar("Result")


def call_function(
    ensure_sync: Callable[..., Any], function: Callable[..., Any], *args: Any, **kwargs: Any
) -> Any:
    """Call a function of an app, and wait for its result if it is async.

    ``ensure_sync``: ``Flask.ensure_sync`` of the app.
    """
    # Not ensure_sync(function): only the result shows that a lambda, a partial or an object
    # with an async __call__ is async.
    result = function(*args, **kwargs)
    if not inspect.isawaitable(result):
        return result

    async def wait() -> Any:
        return await result

    return run_without_loop(ensure_sync(wait))


def run_without_loop(function: Callable[[], Result]) -> Result:
    """Call a function that starts an event loop of its own.

    In an async view, a loop runs in this thread already, and a thread can have one only. Then the
    function runs in another thread, with the same request and app, while this one waits.
    """
    if not is_loop_running():
        return function()
    # Here, because most apps have no use for it.
    from concurrent.futures import ThreadPoolExecutor

    with ThreadPoolExecutor(1) as thread:
        return thread.submit(copy_context().run, function).result()


def is_loop_running() -> bool:
    """Whether an event loop runs in this thread."""
    # Most apps have no use for it.
    import asyncio

    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return False
    return True
