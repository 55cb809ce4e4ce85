"""Keys, codes and code_verifiers (PKCE, RFC 7636): their forms, and how they stay secret.

An exception carries the locals of every frame that it passes (error reporters show them), its
causes, and what those hold: the request with its body, the response. So a function that is given a
credential is decorated with :func:`hides_frames`, or returns an error for its caller to raise.
"""

from __future__ import annotations

import hashlib
import re
import secrets
from base64 import urlsafe_b64encode
from collections.abc import Callable
from functools import wraps
from typing import Any, Final, NoReturn, ParamSpec, TypeVar

P = ParamSpec("P")
T = TypeVar("T")

#: Keys are opaque; this is what can stand in a header, and nothing that could split one.
_API_KEY: Final = re.compile(r"[!-~]{8,512}")
#: RFC 6749 §A.11, without the blank, which OpenRouter does not use.
_CODE: Final = re.compile(r"[!-~]{1,1024}")
#: RFC 7636 §4.1: 43 to 128 unreserved characters. A ``plain`` challenge has the same form.
_CODE_VERIFIER: Final = re.compile(r"[A-Za-z0-9\-._~]{43,128}", re.ASCII)
#: RFC 7636 §4.2: base64url of a SHA-256 digest, without padding.
_S256_CHALLENGE: Final = re.compile(r"[A-Za-z0-9\-_]{43}", re.ASCII)
METHODS: Final = ("S256", "plain")
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


def create_code_verifier() -> str:
    """Return a new code_verifier: 32 random bytes as 43 characters (RFC 7636 §4.1)."""
    return _base64url(secrets.token_bytes(32))


def create_code_challenge(code_verifier: str, method: str = "S256") -> str:
    """Return the code_challenge for ``code_verifier`` (RFC 7636 §4.2).

    :param method: ``"S256"``, or ``"plain"``, which returns the verifier itself.
    :raises ValueError: if the verifier is not 43 to 128 characters of ``A-Z a-z 0-9 - . _ ~``, or
        the method is another one. The message does not contain the verifier.
    """
    problem = check_method(method) or check_code_verifier(code_verifier)
    if problem is not None:
        del code_verifier
        raise ValueError(problem)
    if method == "plain":
        return code_verifier
    return _base64url(hashlib.sha256(code_verifier.encode("ascii")).digest())


def check_code_verifier(code_verifier: object) -> str | None:
    """Return what is wrong with a code_verifier, without repeating it, or None."""
    if isinstance(code_verifier, str) and _CODE_VERIFIER.fullmatch(code_verifier):
        return None
    return "code_verifier must be 43 to 128 characters of A-Z a-z 0-9 - . _ ~ (RFC 7636 §4.1)"


def check_code_challenge(code_challenge: object, method: str) -> str | None:
    """Return what is wrong with a code_challenge for this method, or None."""
    pattern = _S256_CHALLENGE if method == "S256" else _CODE_VERIFIER
    if isinstance(code_challenge, str) and pattern.fullmatch(code_challenge):
        return None
    if method == "S256":
        return "code_challenge must be 43 characters of A-Z a-z 0-9 - _ for S256 (RFC 7636 §4.2)"
    return "code_challenge must be 43 to 128 characters of A-Z a-z 0-9 - . _ ~ (RFC 7636 §4.2)"


def check_method(method: object) -> str | None:
    """Return what is wrong with a code_challenge_method, or None."""
    if method in METHODS:
        return None
    return 'code_challenge_method must be exactly "S256" or "plain"'


def _base64url(data: bytes) -> str:
    return urlsafe_b64encode(data).rstrip(b"=").decode("ascii")


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
