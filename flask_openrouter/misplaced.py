"""Guards that stand above the route decorator, where they guard nothing.

The route then has the bare function and would serve it to everyone. It cannot be seen when the view
is decorated, so each app looks at its routes when its first request begins.
"""

from __future__ import annotations

import inspect
import logging
import sys
from collections.abc import Callable, Iterator
from typing import Any, Final, NoReturn
from weakref import WeakSet

from flask import Flask

logger: Final = logging.getLogger("flask_openrouter")

#: Set on a view function whose guarded version is the one to register.
_BARE: Final = "_openrouter_is_guarded_elsewhere"
#: Set on a guarded version.
_GUARDED: Final = "_openrouter_is_guarded"

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


def disable_misplaced_views(app: Flask) -> None:
    """Disable the views of this app whose guard stands above the route decorator.

    Views that the app adds or replaces after its first request are not seen.
    """
    for endpoint, view in app.view_functions.items():
        if _BARE in getattr(view, "__dict__", ()) and not _is_meant(app, view):
            app.view_functions[endpoint] = _disabled_view(endpoint)


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
        for registered in [*other.view_functions.values()]
        for function in _chain(registered)
    )


def _chain(view: Any) -> Iterator[Callable[..., Any]]:
    """Return the function, and those that decorators have wrapped."""
    seen: set[int] = set()
    while inspect.isfunction(view) and id(view) not in seen:
        seen.add(id(view))
        yield view
        view = getattr(view, "__wrapped__", None)


def _disabled_view(endpoint: str) -> Callable[..., Any]:
    message = (
        f"The view {endpoint!r} is not guarded: requires_openrouter_key stands above the route"
        " decorator. Put it below, next to the function."
    )
    logger.error(message)

    def disabled(**_: object) -> NoReturn:
        raise RuntimeError(message)

    return disabled
