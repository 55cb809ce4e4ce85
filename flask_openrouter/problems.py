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
    ForbiddenError,
    InvalidAnswerError,
    KeyRejectedError,
    KeyStorageError,
    LoginError,
    NotConnectedError,
    OpenRouterError,
    OutOfCreditError,
    PayloadTooLargeError,
    ProviderError,
    RateLimitError,
    RequestTimeoutError,
    ServerError,
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
    #: What helps: ``login``, ``retry``, or a change at OpenRouter: ``credit``, ``limit``,
    #: ``settings``.
    remedy: str = "login"

    @property
    def is_of_call(self) -> bool:
        """Whether it concerns a call to OpenRouter, and not the connection itself."""
        return self.remedy != "login"


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
        "new_key_rejected", 502, "OpenRouter does not accept the new key",
        "It rejects the key that it has just created, so connecting again would not help. Please"
        " try again in ten minutes.",
        ("OpenRouter has an incident.", "The key was deleted or disabled on OpenRouter's pages."),
        remedy="retry",
    ),
    Problem(
        "unconfirmed", 502, "OpenRouter is not sure about your key",
        "It refused your key, but does not confirm that the key is dead. You are still connected."
        " Please try again.",
        remedy="retry",
    ),
    Problem(
        "fallback_failed", 502, "This site's access to OpenRouter does not work",
        "Please try again a little later, or connect your own OpenRouter account.", remedy="retry",
    ),
    Problem(
        "out_of_credit", 402, "No credit left",
        "Your OpenRouter credit or the key's limit is used up. You are still connected.",
        remedy="credit",
    ),
    Problem(
        "key_limit", 402, "The limit of your key is used up",
        "Raise it at OpenRouter, or wait until it is reset. You are still connected.",
        remedy="limit",
    ),
    Problem(
        "workspace_budget", 402, "The workspace's budget is used up",
        "An admin of your OpenRouter workspace can raise it. You are still connected.",
        remedy="settings",
    ),
    Problem(
        "guardrail_budget", 402, "A budget at OpenRouter is used up",
        "A guardrail of your OpenRouter account sets it. You are still connected.",
        remedy="settings",
    ),
    Problem(
        "max_tokens", 402, "Not enough credit for this request",
        "A shorter answer may still be possible. Otherwise add credit at OpenRouter.",
        remedy="credit",
    ),
    Problem(
        "rate_limited", 429, "Too many requests",
        "OpenRouter asks to wait. Please try again a little later.",
        remedy="retry",
    ),
    Problem(
        "free_daily", 429, "Today's free requests are used up",
        "New ones come at midnight UTC. Credit at OpenRouter raises their number.",
        remedy="credit",
    ),
    Problem(
        "refused", 403, "This request was refused",
        "OpenRouter or the provider of the model found that it breaks their rules. Please change"
        " it.",
        remedy="retry",
    ),
    Problem(
        "guardrail", 403, "Your OpenRouter account forbids this",
        "A guardrail or a permission of your account does not allow this request.",
        remedy="settings",
    ),
    Problem(
        "privacy", 403, "Your privacy settings exclude this model",
        "Change them at OpenRouter, or choose another model.",
        remedy="settings",
    ),
    Problem(
        "too_long", 400, "This is too long for the model",
        "Please shorten it, or choose a model that reads more.",
        remedy="retry",
    ),
    Problem(
        "timed_out", 504, "The answer took too long",
        "OpenRouter or the model did not answer in time. Please try again.",
        remedy="retry",
    ),
    Problem(
        "model_failed", 502, "The model cannot answer now",
        "Its provider reports trouble. Please try again, or choose another model.",
        remedy="retry",
    ),
    Problem(
        "request_failed", 502, "OpenRouter did not accept this request",
        "The cause is this site or the chosen model. Another model may help.",
        remedy="retry",
    ),
    Problem(
        "openrouter_failed", 502, "OpenRouter does not work right now",
        "You are still connected. Please try again a little later.",
        remedy="retry",
    ),
)  # fmt: skip

PROBLEMS: Final[Mapping[str, Problem]] = MappingProxyType({p.code: p for p in _ALL})


_OF_LOGINS: Final = (
    (TransportTimeoutError, "timeout"),
    (KeyStorageError, "storage_unavailable"),
    (InvalidAnswerError, "unexpected_answer"),
    (CodeRefusedError, "code_refused"),
    (RateLimitError, "busy"),
    (ConflictError, "busy"),
    (APIError, "provider_failed"),
)
_OF_CALLS: Final = (
    (NotConnectedError, "key_required"),
    (KeyStorageError, "storage_unavailable"),
    (KeyRejectedError, "key_rejected"),
    (OutOfCreditError, "out_of_credit"),
    (RateLimitError, "rate_limited"),
    (ForbiddenError, "refused"),
    (RequestTimeoutError, "timed_out"),
    (TransportTimeoutError, "timed_out"),
    (PayloadTooLargeError, "too_long"),
    (ProviderError, "model_failed"),
    (ServerError, "openrouter_failed"),
    (InvalidAnswerError, "openrouter_failed"),
    (TransportError, "openrouter_failed"),
    (APIError, "request_failed"),
)
#: Reasons of errors that have a problem of their own.
_REASONS: Final = MappingProxyType(
    {
        **{code: code for code in ("unconfirmed", "key_limit", "workspace_budget", "max_tokens")},
        **{code: code for code in ("guardrail_budget", "free_daily", "privacy", "guardrail")},
        "permission": "guardrail",
        "context_length": "too_long",
    }
)
#: Statuses for a time-out: the standard's (RFC 9110 §15.5.9, §15.6.5), and Cloudflare's.
_TIMEOUTS: Final = (408, 504, 522, 524)


def problem_of(error: OpenRouterError) -> Problem:
    """Return the problem that visitors see for an error that no view has handled.

    Raises ``error`` if it is the operator's, such as a wrong setting.
    """
    if isinstance(error, LoginError):
        return PROBLEMS[error.reason]
    if isinstance(error, APIError):
        code = _REASONS.get(error.reason or "")
        if code is not None:
            return PROBLEMS[code]
        if error.status in _TIMEOUTS:
            return PROBLEMS["timed_out"]
        if isinstance(error, ProviderError) and error.status == 429:
            return PROBLEMS["rate_limited"]
    return _first(_OF_CALLS, error)


def problem_of_login(error: OpenRouterError) -> Problem:
    """Return the problem that visitors see for an error that ended their login.

    Raises ``error`` if it is the operator's, such as a wrong setting.
    """
    if isinstance(error, LoginError):
        return PROBLEMS[error.reason]
    if isinstance(error, TransportError) and not isinstance(error, TransportTimeoutError):
        return PROBLEMS["connection_lost" if error.was_sent else "unreachable"]
    return _first(_OF_LOGINS, error)


def _first(codes: tuple[tuple[type[OpenRouterError], str], ...], error: OpenRouterError) -> Problem:
    for kind, code in codes:
        if isinstance(error, kind):
            return PROBLEMS[code]
    raise error
