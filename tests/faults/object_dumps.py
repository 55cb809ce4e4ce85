"""The texts that an object becomes by accident: in logs, caches, and error reports."""

from __future__ import annotations

import copy
import gc
import json
import pickle
import types
from collections import deque
from collections.abc import Callable, Iterator

#: Code, and what leads from an object to the whole program.
_NOT_FOLLOWED = (
    type,
    types.ModuleType,
    types.FunctionType,
    types.BuiltinFunctionType,
    types.MethodType,
    types.CodeType,
    types.FrameType,
)


def dumps_of(thing: object) -> list[str | bytes]:
    """Return the results of ``repr``, ``str``, formatting, ``vars``, JSON, pickle and copies.

    Objects with secrets may refuse to be pickled or copied.
    """
    texts: list[str | bytes] = [
        repr(thing), str(thing), f"{thing}", f"{thing!a}", f"{thing!s:>200}", repr([thing]),
        json.dumps(thing, default=repr), json.dumps({"x": thing}, default=str),
    ]  # fmt: skip
    if hasattr(thing, "__dict__"):
        texts.append(repr(vars(thing)))
    copies: list[Callable[[], object]] = [
        *(lambda protocol=protocol: pickle.dumps(thing, protocol) for protocol in range(6)),  # type: ignore[misc]
        lambda: copy.copy(thing).__reduce_ex__(4),
        lambda: copy.deepcopy(thing).__reduce_ex__(4),
    ]
    for make in copies:
        try:
            made = make()
        except Exception as error:
            made = repr(error)
        texts.append(made if isinstance(made, bytes) else repr(made))
    return texts


def texts_within(root: object) -> Iterator[str | bytes]:
    """Yield every text that is reachable from an object."""
    seen = {id(root)}
    waiting = deque([root])
    while waiting:
        thing = waiting.popleft()
        if isinstance(thing, str | bytes):
            yield thing
            continue
        for inner in gc.get_referents(thing):
            if id(inner) not in seen and not isinstance(inner, _NOT_FOLLOWED):
                seen.add(id(inner))
                waiting.append(inner)
