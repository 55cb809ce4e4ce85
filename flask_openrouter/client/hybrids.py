"""Errors of this package that are errors of an HTTP package as well.

So code that was written for ``requests``, ``openai`` or ``openrouter`` catches them, too.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from importlib import import_module
from typing import Any, Final

from ..errors import OpenRouterError


def both(own: OpenRouterError, theirs: Exception) -> OpenRouterError:
    """Return one error that is of the classes of ``own`` and ``theirs``, and has their attributes.

    The message is that of ``own``. ``theirs`` lends its attributes only.
    """
    # Not of a third class, which ``own`` may be of: a pickle can name no class that is made here.
    plain = vars(type(own)).get("_own", type(own))
    kind = _class_of(plain, type(theirs))
    attributes = {**vars(theirs), **vars(own)}
    if "message" in attributes:
        attributes["message"] = str(own)
    return kind._restore(own.args, attributes)  # pyright: ignore[reportPrivateUsage]


def _class_of(own: type[OpenRouterError], theirs: type[Exception]) -> type[OpenRouterError]:
    kind = _CLASSES.get((own, theirs))
    # If several threads get here at once, all use the first one's class.
    return kind or _CLASSES.setdefault((own, theirs), _new_class(own, theirs))


_CLASSES: Final[dict[tuple[type, type], type[OpenRouterError]]] = {}


def _new_class(own: type[OpenRouterError], theirs: type[Exception]) -> type[OpenRouterError]:
    def reduce(self: OpenRouterError) -> tuple[Callable[..., Any], tuple[Any, ...]]:
        place = (theirs.__module__, theirs.__qualname__)
        return _restore_both, (own, place, *self._pickled())  # pyright: ignore[reportPrivateUsage]

    body = {
        "__module__": own.__module__,
        "_own": own,
        "__doc__": f"{own.__name__}, also as {theirs.__name__}.",
        "__reduce__": reduce,
    }
    return type(own.__name__, (own, theirs), body)


def _restore_both(
    own: type[OpenRouterError],
    place: tuple[str, str],
    args: tuple[Any, ...],
    attributes: Mapping[str, Any],
) -> OpenRouterError:
    """Return the pickled error; without the other package, as an error of this one only."""
    module, name = place
    try:
        theirs = getattr(sys.modules.get(module) or import_module(module), name)
    except (ImportError, AttributeError):
        return own._restore(args, attributes)  # pyright: ignore[reportPrivateUsage]
    kind = _class_of(own, theirs)
    return kind._restore(args, attributes)  # pyright: ignore[reportPrivateUsage]
