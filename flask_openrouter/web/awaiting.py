"""Calls of the app's functions and receivers, which may be ``async def``, from plain code."""

from __future__ import annotations

import inspect
import logging
from collections.abc import Callable
from contextvars import copy_context
from typing import TYPE_CHECKING, Any, Final, TypeVar

if TYPE_CHECKING:
    from blinker import NamedSignal
    from flask import Flask

logger: Final = logging.getLogger("flask_openrouter")

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


def send_signal(signal: NamedSignal, app: Flask, **payload: object) -> None:
    """Send a signal from this app. What a receiver raises is logged and goes no further."""
    for receiver in signal.receivers_for(app):
        try:
            call_function(app.ensure_sync, receiver, app, **payload)
        except Exception:
            logger.exception("A receiver of the signal %s failed.", signal.name)


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
