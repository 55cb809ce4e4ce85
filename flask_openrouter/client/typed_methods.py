"""Methods of the ``openrouter`` package, made to raise typed errors for what it cannot read."""

from __future__ import annotations

import inspect
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass
from functools import wraps
from typing import Any

from ..errors import InvalidAnswerError, OpenRouterError


@dataclass(frozen=True, slots=True)
class TypedMethods:
    """What makes the methods of the package's objects raise typed errors.

    :param base: the class of the package's objects with methods.
    :param error: the class of the package's errors.
    :param typed: makes such an error a typed one.
    """

    base: type
    error: type[Exception]
    typed: Callable[[Exception], OpenRouterError]

    def put_on(self, part: Any) -> None:
        """Wrap the public methods of an object, and those of the objects in it."""
        for name, method in inspect.getmembers(part, inspect.ismethod):
            if not name.startswith("_"):
                setattr(part, name, self._wrapped(method))
        for name, inner in tuple(vars(part).items()):
            if isinstance(inner, self.base) and name != "parent_ref":
                self.put_on(inner)

    def _wrapped(self, method: Callable[..., Any]) -> Callable[..., Any]:
        if inspect.iscoroutinefunction(method):

            @wraps(method)
            async def call_async(*arguments: Any, **options: Any) -> Any:
                try:
                    result = await method(*arguments, **options)
                except self.error as error:
                    failure = self._failure(error)
                else:
                    return self._watched(result)
                raise failure

            return call_async

        @wraps(method)
        def call(*arguments: Any, **options: Any) -> Any:
            try:
                result = method(*arguments, **options)
            except self.error as error:
                failure = self._failure(error)
            else:
                return self._watched(result)
            # Not in the except clause: the package's error refers to the response's data.
            raise failure

        return call

    def _failure(self, error: Exception) -> OpenRouterError:
        if isinstance(error, RecursionError):
            return InvalidAnswerError("An event of OpenRouter is nested too deeply")
        return error if isinstance(error, OpenRouterError) else self.typed(error)

    def _watched(self, result: Any) -> Any:
        """Return a result, whose events raise typed errors, too, if it is a stream."""
        events = getattr(result, "generator", None)
        if inspect.isgenerator(events):
            result.generator = self._events(events)
        elif inspect.isasyncgen(events):
            result.generator = self._async_events(events)
        return result

    def _events(self, events: Iterator[Any]) -> Iterator[Any]:
        try:
            yield from events
        except (self.error, RecursionError) as error:
            failure = self._failure(error)
        else:
            return
        raise failure

    async def _async_events(self, events: AsyncIterator[Any]) -> AsyncIterator[Any]:
        try:
            async for event in events:
                yield event
        except (self.error, RecursionError) as error:
            failure = self._failure(error)
        else:
            return
        raise failure
