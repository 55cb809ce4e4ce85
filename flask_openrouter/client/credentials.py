"""Keys, codes and code_verifiers: their forms, and what keeps them out of pickles and tracebacks.

An exception carries the locals of every frame that it passes (error reporters show them), its
causes, and what those hold: the request with its body, the response. So a function that is given a
credential is decorated with :func:`hides_frames`, or returns an error for its caller to raise.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable
from functools import wraps
from typing import Any, Final, NoReturn, ParamSpec, TypeVar

P = ParamSpec("P")
T = TypeVar("T")

#: Keys are opaque; this is what can stand in a header, and nothing that could split one.
_API_KEY: Final = re.compile(r"[!-~]{8,512}")
#: RFC 6749 §A.11, without the blank, which OpenRouter does not use.
_CODE: Final = re.compile(r"[!-~]{1,1024}")
#: What :func:`hash_of_key` returns.
KEY_HASH: Final = re.compile(r"[0-9a-f]{64}")

MALFORMED_KEY: Final = "api_key must be 8 to 512 printable ASCII characters without blanks"


def is_api_key(value: object) -> bool:
    """Whether ``value`` can be a key: 8 to 512 printable ASCII characters without blanks."""
    return isinstance(value, str) and _API_KEY.fullmatch(value) is not None


def is_code(value: object) -> bool:
    """Whether ``value`` can be a code: 1 to 1024 printable ASCII characters without blanks."""
    return isinstance(value, str) and _CODE.fullmatch(value) is not None


def hash_of_key(api_key: str) -> str:
    """Return the SHA-256 by which OpenRouter's pages know a key (guide "OAuth PKCE")."""
    return hashlib.sha256(api_key.encode()).hexdigest()


def authorizer(api_key: str) -> Callable[[Any], None]:
    """Return a function that puts the key on a request, and takes cookies off it.

    A closure: no dump of attributes shows the key.
    """

    def authorize(request: Any) -> None:
        request.headers.pop("Cookie", None)
        request.headers["Authorization"] = f"Bearer {api_key}"

    return authorize


class Unpicklable:
    """Base of classes that hold a key, a code or a code_verifier: neither pickled nor copied."""

    __slots__ = ()

    def __reduce__(self) -> NoReturn:
        raise TypeError(f"{type(self).__name__} holds a secret and is not pickled or copied")


def hides_frames(function: Callable[P, T]) -> Callable[P, T]:
    """Decorate ``function``: what it raises carries neither its frame nor those below it.

    The error is raised again from a frame that holds no argument any more, and without causes.
    """

    @wraps(function)
    def call(*args: P.args, **kwargs: P.kwargs) -> T:
        result = outcome_of(function, *args, **kwargs)
        del args, kwargs
        if isinstance(result, BaseException):
            raise result
        return result

    return call


def outcome_of(function: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> T | BaseException:
    """Return what ``function`` returns, or the exception that it raises, without its frames."""
    try:
        return function(*args, **kwargs)
    except BaseException as error:
        return without_trace(error)


def without_trace(error: BaseException) -> BaseException:
    """Return ``error`` without its frames and causes."""
    error.__cause__ = error.__context__ = None
    return error.with_traceback(None)
