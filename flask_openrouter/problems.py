"""The error pages that visitors see, each with a code, an HTTP status and a plain sentence."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final

from .errors import (
    APIError,
    CodeRefusedError,
    ConflictError,
    InvalidAnswerError,
    KeyRejectedError,
    KeyStorageError,
    LoginError,
    NotConnectedError,
    OpenRouterError,
    OutOfCreditError,
    RateLimitError,
    TransportError,
    TransportTimeoutError,
)


@dataclass(frozen=True)
class Problem:
    """An error as visitors see it, in fixed words: nothing from the URL or from OpenRouter."""

    code: str
    status: int
    title: str
    message: str
    #: Likely causes, most likely first.
    hints: tuple[str, ...] = ()
    #: Whether OpenRouter may have created a key that the app did not receive.
    key_may_exist: bool = False


_LOST_LOGIN: Final = (
    "The login took longer than ten minutes, or was finished already in this browser.",
    "The browser did not send this site's cookie: cookies are off, were cleared, or the login was"
    " started in another browser or in a private window.",
    "The login was started at another address of this site: localhost and 127.0.0.1, or the name"
    " with and without www, do not share cookies.",
    "For the operator: all workers must have the same SECRET_KEY.",
)

_ALL: Final = (
    Problem(
        "malformed", 400, "This link is not complete",
        "The address that brought you here cannot finish a login. Nothing was changed.",
    ),
    Problem(
        "unknown", 400, "This login is not known here",
        "This browser has no login that this address could finish. Nothing was changed.",
        _LOST_LOGIN,
    ),
    Problem(
        "expired", 400, "This login took too long",
        "A login has to be finished within ten minutes. Nothing was changed; please try again.",
    ),
    Problem(
        "foreign", 400, "This login belongs to somebody else",
        "It was started by another user of this site. Nothing was changed.",
    ),
    Problem(
        "signed_out", 400, "You are signed out of this site",
        "You were signed in when this login began. Nothing was changed; please sign in and connect"
        " again.",
        (
            "Your session at this site has ended, or you signed out in another tab.",
            "Your browser was updated during the login, and this site then ends sessions.",
        ),
    ),
    Problem(
        "lost", 409, "This login was finished already",
        "Its key is not in this browser. OpenRouter may have created one that got lost on the way"
        " to you; this site has no copy of it.",
        key_may_exist=True,
    ),
    Problem(
        "declined", 400, "You declined",
        "Nothing was connected, and nothing was changed.",
    ),
    Problem(
        "code_refused", 400, "OpenRouter refused this login",
        "Its code has expired, was used already, or does not belong to this login. If it was used"
        " already, OpenRouter may have created a key that this site did not receive.",
        key_may_exist=True,
    ),
    Problem(
        "busy", 502, "OpenRouter is busy",
        "It asked this site to wait. Please try again in a minute.",
    ),
    Problem(
        "provider_failed", 502, "OpenRouter has trouble",
        "It could not finish the login. Please try again a little later.",
    ),
    Problem(
        "unexpected_answer", 502, "Unexpected answer from OpenRouter",
        "It cannot be used, so nothing was connected. A key may have been created all the same.",
        key_may_exist=True,
    ),
    Problem(
        "unreachable", 502, "OpenRouter cannot be reached",
        "This site could not connect to it. Please try again a little later.",
    ),
    Problem(
        "connection_lost", 502, "The connection to OpenRouter was lost",
        "It was lost before the answer arrived. OpenRouter may have created a key that this site"
        " did not receive.",
        key_may_exist=True,
    ),
    Problem(
        "timeout", 504, "OpenRouter did not answer in time",
        "OpenRouter may have created a key that this site did not receive.",
        key_may_exist=True,
    ),
    Problem(
        "storage_unavailable", 503, "Keys cannot be stored or read right now",
        "This site's storage does not answer. Please try again in a few minutes.",
    ),
    Problem(
        "not_saved", 503, "Your key is not saved yet",
        "OpenRouter created a key for this site, but this site cannot store it. It waits in your"
        " browser, encrypted, for ten minutes.",
        key_may_exist=True,
    ),
    Problem(
        "nothing_to_save", 400, "No key is waiting to be saved",
        "It was saved already, or ten minutes have passed.",
    ),
    Problem(
        "not_forgotten", 503, "Still connected",
        "The key could not be deleted: this site's storage does not answer. Please try again in a"
        " few minutes.",
    ),
    Problem(
        "insecure_address", 400, "This address cannot be used to connect",
        "OpenRouter sends visitors back to https addresses only, or to localhost.",
        (
            "Open this site by its https address.",
            "For the operator: behind a proxy that speaks https add the ProxyFix middleware or set"
            " OPENROUTER_CALLBACK_URL.",
        ),
    ),
    Problem(
        "cross_site", 403, "This request came from another page",
        "Only a page of this site may do this. Nothing was changed.",
        ("For the operator: behind a proxy that changes the host name add ProxyFix.",),
    ),
    Problem(
        "not_a_visit", 403, "Open this address in a tab",
        "A login starts and ends with a visit to this address, not with a request in the"
        " background.",
    ),
    Problem(
        "key_required", 401, "Connect OpenRouter first",
        "This page needs your OpenRouter account.",
    ),
    Problem(
        "key_rejected", 401, "Connect OpenRouter again",
        "OpenRouter no longer accepts your key: it was deleted, disabled or has expired.",
    ),
    Problem(
        "out_of_credit", 402, "No credit left",
        "Your OpenRouter credit or the key's limit is used up. You are still connected.",
    ),
)  # fmt: skip

PROBLEMS: Final[Mapping[str, Problem]] = MappingProxyType({p.code: p for p in _ALL})


def problem_of(error: OpenRouterError) -> Problem:
    """Return the problem that visitors see for this error."""
    return PROBLEMS[_code_of(error)]


def problem_of_login(error: OpenRouterError) -> Problem:
    """Return the problem that visitors see for an error that ended their login."""
    if isinstance(error, KeyRejectedError | OutOfCreditError):
        # A login has no key yet, so this response of OpenRouter makes no sense.
        return PROBLEMS["provider_failed"]
    return problem_of(error)


def _code_of(error: OpenRouterError) -> str:
    if isinstance(error, LoginError):
        return error.reason
    if isinstance(error, TransportError) and not isinstance(error, TransportTimeoutError):
        return "connection_lost" if error.was_sent else "unreachable"
    for kind, code in _CODES:
        if isinstance(error, kind):
            return code
    raise error


_CODES: Final = (
    (TransportTimeoutError, "timeout"),
    (KeyStorageError, "storage_unavailable"),
    (InvalidAnswerError, "unexpected_answer"),
    (CodeRefusedError, "code_refused"),
    (KeyRejectedError, "key_rejected"),
    (OutOfCreditError, "out_of_credit"),
    (RateLimitError, "busy"),
    (ConflictError, "busy"),
    (NotConnectedError, "key_required"),
    (APIError, "provider_failed"),
)
