"""Guards that stand above the route decorator or ``before_request``, where they guard nothing.

The route then has the bare function and would serve it to everyone. It cannot be seen when the view
is decorated, so each app looks at its routes when its first request begins.
"""

from __future__ import annotations

import inspect
import logging
import sys
from collections.abc import Callable, Iterator
from typing import Any, Final, NamedTuple, NoReturn
from weakref import WeakSet

from flask import Flask

logger: Final = logging.getLogger("flask_openrouter")

#: Set on a view function whose guarded version is the one to register.
_BARE: Final = "_openrouter_is_guarded_elsewhere"
#: Set on a guarded version.
_GUARDED: Final = "_openrouter_is_guarded"
#: Set on what replaces a view that is disabled.
_DISABLED: Final = "_openrouter_is_disabled"

#: The apps that have the extension.
_apps: WeakSet[Flask] = WeakSet()


def mark(guarded: Callable[..., Any], view: Callable[..., Any]) -> None:
    """Note that ``guarded`` is the guarded version of ``view``."""
    guarded.__dict__.pop(_BARE, None)
    guarded.__dict__[_GUARDED] = True
    for function in _chain(view):
        if _BARE in function.__dict__:
            break
        function.__dict__[_BARE] = True


def watch(app: Flask) -> None:
    """Note an app whose routes may show that a function is guarded on purpose."""
    _apps.add(app)


class _Place(NamedTuple):
    """A place of an app that has a view, or a function that runs before requests."""

    functions: Any
    key: Any
    name: str
    decorator: str

    @property
    def function(self) -> Any:
        return self.functions[self.key]


def disable_misplaced_views(app: Flask) -> None:
    """Disable the views of this app whose guard stands above the route decorator.

    So too the functions whose guard stands above ``before_request``. What the app adds or replaces
    after its first request is not seen.
    """
    for place in _places(app):
        if _is_misplaced(app, place.function):
            place.functions[place.key] = _disabled_view(place)


def names_of_misplaced(app: Flask) -> list[str]:
    """Return the names of what is disabled, or will be when the first request begins."""
    return [
        place.name
        for place in _places(app)
        if _DISABLED in getattr(place.function, "__dict__", ())
        or _is_misplaced(app, place.function)
    ]


def _places(app: Flask) -> Iterator[_Place]:
    for endpoint in [*app.view_functions]:
        yield _Place(app.view_functions, endpoint, f"the view {endpoint!r}", "route")
    for functions in [*app.before_request_funcs.values()]:
        for number, function in enumerate(functions):
            name = getattr(function, "__name__", type(function).__name__)
            yield _Place(functions, number, f"the function {name!r}", "before_request")


def _is_misplaced(app: Flask, view: Callable[..., Any]) -> bool:
    # An object, such as a partial, may have the mark, too.
    for function in (view, *_chain(view)):
        marks = getattr(function, "__dict__", ())
        if _BARE in marks:
            return not _is_meant(app, view)
        if _GUARDED in marks:
            # What it wraps is guarded.
            break
    return False


def _is_meant(app: Flask, view: Callable[..., Any]) -> bool:
    """Whether this app serves the bare view on purpose, and another its guarded version.

    A decorator gives the name of the function to the guarded version; a call of the guard does not.
    So the name tells the two apart. Names inside of a function, such as an app factory, cannot be
    looked up. Then the guarded version is in a route of another app, or it was made in vain.
    """
    bare = {*_chain(view)}
    found: Any = sys.modules.get(view.__module__)
    # An object, such as a partial, may have no name.
    for name in getattr(view, "__qualname__", "<unnamed>").split("."):
        found = getattr(found, name, None)
    if inspect.isfunction(found) and found in bare:
        return True
    return any(
        _GUARDED in function.__dict__ and not bare.isdisjoint(_chain(function))
        for other in {*_apps} - {app}
        for place in _places(other)
        for function in _chain(place.function)
    )


def _chain(view: Any) -> Iterator[Callable[..., Any]]:
    """Return the function, and those that decorators have wrapped."""
    seen: set[int] = set()
    while inspect.isfunction(view) and id(view) not in seen:
        seen.add(id(view))
        yield view
        view = getattr(view, "__wrapped__", None)


def _disabled_view(place: _Place) -> Callable[..., Any]:
    name = place.name[0].upper() + place.name[1:]
    message = (
        f"{name} is not guarded: requires_openrouter_key stands above the {place.decorator}"
        " decorator. Put it below, next to the function."
    )
    logger.error(message)

    def disabled(**_: object) -> NoReturn:
        raise RuntimeError(message)

    disabled.__name__ = getattr(place.function, "__name__", disabled.__name__)
    disabled.__dict__[_DISABLED] = True
    return disabled
