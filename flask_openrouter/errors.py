"""Every exception of this package.

::

    OpenRouterError
    ├── ConfigurationError           a setting is wrong; raised by init_app and constructors only
    ├── NotConnectedError            the app asked for the key of a visitor who has none
    ├── LoginError                   this login cannot be finished; the visitor starts again
    │   ├── StateMismatchError       state missing, unknown, spent, expired or of another user
    │   └── AccessDeniedError        the visitor declined at OpenRouter
    ├── KeyStorageError              the storage failed; whether there is a key is unknown
    ├── TransportError               no response from OpenRouter
    │   └── TransportTimeoutError    ... within the time limit
    ├── InvalidAnswerError           a response that is not what OpenRouter documents
    └── APIError                     an error status, or an error inside a 200
        ├── CodeRefusedError         400 or 403 to the exchange of a code: start again
        ├── BadRequestError          400
        ├── KeyRejectedError         401: the key is dead
        ├── OutOfCreditError         402, or 403 because a limit or budget is spent
        ├── ForbiddenError           403
        ├── NotFoundError            404
        ├── MethodNotAllowedError    405
        ├── RequestTimeoutError      408
        ├── ConflictError            409
        ├── PayloadTooLargeError     413
        ├── UnprocessableError       422
        ├── RateLimitError           429, or 402 while the credit is reserved
        ├── ServerError              5xx
        └── ProviderError            any of these, relayed from the provider of a model

Nothing in them holds a key, a code, a code_verifier or an encryption key.
"""

from __future__ import annotations

import types
from typing import TYPE_CHECKING, ClassVar, Final

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from datetime import datetime
    from typing import Any, TypeVar

    _Error = TypeVar("_Error", bound="OpenRouterError")

#: Attributes of HTTP packages' exceptions that a pickle leaves out: they hold what was sent.
_NOT_PICKLED: Final = ("request", "_request", "response", "raw_response")


def _picklable(value: object) -> object:
    try:
        import pickle

        return pickle.loads(pickle.dumps(value))  # noqa: S301 - its own pickle
    except Exception:  # Such as those of database drivers.
        return str(value)


class OpenRouterError(Exception):
    """Base of all exceptions of this package. They can be pickled and copied.

    In a pickle, ``request`` and ``response`` are None, and what cannot be pickled is its text.
    Class and ``args`` make an error with the same message, as in Celery's JSON results.
    """

    def __repr__(self) -> str:
        return f"{type(self).__name__}({str(self)!r})" if self.args else super().__repr__()

    def __reduce__(self) -> tuple[Callable[..., Any], tuple[Any, ...]]:
        return self._restore, self._pickled()

    def __copy__(self: _Error) -> _Error:
        return self._restore(self.args, vars(self))

    def _pickled(self) -> tuple[tuple[Any, ...], dict[str, Any]]:
        kept = {k: None if k in _NOT_PICKLED else _picklable(v) for k, v in vars(self).items()}
        return tuple(map(_picklable, self.args)), kept

    @classmethod
    def _restore(cls: type[_Error], args: tuple[Any, ...], attributes: Mapping[str, Any]) -> _Error:
        """Return an exception with these attributes; its constructor does not run."""
        error = cls.__new__(cls, *args)
        error.args = args
        vars(error).update(attributes)
        return error


class ConfigurationError(OpenRouterError, ValueError):
    """A setting or argument is wrong. The message names it and the remedy."""


class NotConnectedError(OpenRouterError):
    """The app asked for the key of a visitor who is not connected."""


class LoginError(OpenRouterError):
    """This login cannot be finished; the visitor has to start again.

    ``reason`` is a short machine-readable code: one of those documented with the subclasses, or
    ``insecure_address``: OpenRouter does not redirect to the app's address; or
    ``provider_failed``: OpenRouter had trouble while it asked the visitor.
    """

    def __init__(self, message: str, reason: str = "unknown") -> None:
        super().__init__(message, reason)
        self.reason = reason

    def __str__(self) -> str:
        return str(self.args[0])


class StateMismatchError(LoginError):
    """No login of this browser is waiting for this callback (RFC 6749 §10.12).

    ``reason``: ``malformed``, ``unknown``, ``expired``, ``foreign`` (started by another user of the
    app) or ``signed_out`` (its user is not signed in any more).
    """


class AccessDeniedError(LoginError):
    """OpenRouter sent the visitor back without a code: they declined. ``reason``: ``declined``."""


class KeyStorageError(OpenRouterError):
    """The storage failed. ``__cause__`` is its exception; the message names the operation only.

    Without a cause: the storage does not return what was stored, or the id of the app's user has a
    form that storages cannot tell from others.
    """


class TransportError(OpenRouterError):
    """No usable HTTP response from OpenRouter: unreachable, TLS failure, connection lost.

    ``was_sent`` is true when the request may have reached OpenRouter. If it was an exchange,
    OpenRouter may have issued a key that was not received. ``is_retryable``: whether the same call
    may work a little later, if it changes nothing.
    """

    is_retryable = True

    def __init__(self, message: str, *, was_sent: bool = False) -> None:
        super().__init__(message)
        self.was_sent = was_sent


class TransportTimeoutError(TransportError):
    """The time limit of the whole request is over."""


class InvalidAnswerError(OpenRouterError):
    """A response that OpenRouter's documentation does not allow.

    ``status`` is its HTTP status, or None if it is not HTTP. ``is_retryable`` is false.
    """

    is_retryable = False

    def __init__(self, message: str, status: int | None = None) -> None:
        super().__init__(message, status)
        self.status = status

    def __str__(self) -> str:
        return str(self.args[0])


#: The start of the message of an :class:`APIError` with this reason, unless it is the class's.
_SUMMARIES: Final[Mapping[str, str]] = types.MappingProxyType(
    {
        "unconfirmed": "OpenRouter reported 401, which does not prove that the key is dead",
        "key_limit": "The limit of the OpenRouter key is spent",
        "workspace_budget": "The budget of the OpenRouter workspace is spent",
        "guardrail_budget": "The budget of an OpenRouter guardrail is spent",
        "max_tokens": "The credit is too small for so many tokens",
        "in_flight_budget": "Requests under way have reserved the remaining credit",
        "free_daily": "The daily allowance for free models is used up",
        "privacy": "The privacy settings of the OpenRouter account exclude this model",
        "context_length": "The request is longer than the model's context",
    }
)


class APIError(OpenRouterError):
    """An error that OpenRouter reported (OpenRouter API reference, "Errors").

    It came as an error status, or inside a response or a stream with the status 200.
    ``status``: the HTTP status, or the code of an error inside a 200 (502 if it has no valid one).
    ``reason``: a stable code for the cause, or None if OpenRouter gives no cause that is known;
    docs/errors.md lists the codes. ``upstream_message``: OpenRouter's message, cut to 200
    characters and without control characters, or ``""``; foreign text, so escape it before you
    show it. ``provider_name``: the provider of the model, if the error names one. ``help_url``: the
    page of OpenRouter to change the cause on, or None. ``request_id``: OpenRouter's id of the
    request, or None. ``retry_after``: seconds to wait, counted from the arrival of the error, or
    None. ``is_retryable``: whether the same idempotent call may work a little later.
    """

    is_retryable: bool = False
    #: The start of the message, unless the reason has one of its own.
    summary: ClassVar[str] = "OpenRouter refused the request"

    def __init__(
        self,
        status: int,
        upstream_message: str = "",
        request_id: str | None = None,
        retry_after: float | None = None,
        reason: str | None = None,
        provider_name: str | None = None,
        help_url: str | None = None,
        is_retryable: bool | None = None,
    ) -> None:
        details = request_id, retry_after, reason, provider_name, help_url, is_retryable
        super().__init__(status, upstream_message, *details)
        self.status = status
        self.upstream_message = upstream_message
        self.request_id = request_id
        self.retry_after = retry_after
        self.reason = reason
        self.provider_name = provider_name
        self.help_url = help_url
        if is_retryable is not None:
            self.is_retryable = is_retryable

    def __str__(self) -> str:
        message = f"{_SUMMARIES.get(self.reason or '', self.summary)} (HTTP {self.status})"
        return f"{message}: {self.upstream_message}" if self.upstream_message else message


class CodeRefusedError(APIError):
    """400 or 403: OpenRouter refused the authorization code. Start a new login."""

    summary = "OpenRouter refused the authorization code"


class BadRequestError(APIError):
    """400: the request is malformed."""

    summary = "OpenRouter found the request malformed"


class KeyRejectedError(APIError):
    """401: the key was deleted, disabled or has expired. The visitor has to connect again.

    ``key_hash``: the SHA-256 of the key in hexadecimal; None when a view raised this error, and
    ``""`` when the request had no key, as an exchange. ``is_confirmed``: whether OpenRouter was
    asked about the key itself (``GET /key``), so that asking once more would not tell more.
    """

    summary = "OpenRouter rejected the key"
    key_hash: str | None = None
    is_confirmed: bool = False

    def __init__(self, status: int = 401, *details: Any, **named: Any) -> None:
        super().__init__(status, *details, **named)


class OutOfCreditError(APIError):
    """402, or 403 with a spent limit or budget: no credit is left for this request.

    The key itself is fine. ``reason``: ``account`` (no credit), ``key_limit``,
    ``workspace_budget``, ``guardrail_budget`` (this limit is spent) or ``max_tokens`` (fewer
    tokens would do). ``resets_at``: when the limit or budget is reset, with a time zone, or None.
    ``key_hash``: the SHA-256 of the key in hexadecimal, or None if the reader did not know it.
    ``help_url``: where its owner can change that. ``settings_url``: where credit can be added,
    below the base URL in use, or at openrouter.ai if a view of the app raises this error.
    """

    summary = "The OpenRouter account or key is out of credit"
    settings_url: str = "https://openrouter.ai/settings/credits"
    resets_at: datetime | None = None
    key_hash: str | None = None


class ForbiddenError(APIError):
    """403: not allowed.

    ``reason``: ``moderation``, ``content_policy``, ``refusal``, ``guardrail`` or ``permission``.
    """

    summary = "OpenRouter does not allow this request"


class NotFoundError(APIError):
    """404: no such model or address."""

    summary = "OpenRouter does not know this address or model"


class MethodNotAllowedError(APIError):
    """405: the wrong HTTP method."""

    summary = "OpenRouter does not take this HTTP method here"


class RequestTimeoutError(APIError):
    """408: OpenRouter waited too long for the request or for the model."""

    summary = "OpenRouter timed the request out"
    is_retryable = True


class ConflictError(APIError):
    """409: a conflict with another change at OpenRouter; try again later."""

    summary = "OpenRouter reports a conflict"
    is_retryable = True


class PayloadTooLargeError(APIError):
    """413: the request is too large."""

    summary = "OpenRouter finds the request too large"


class UnprocessableError(APIError):
    """422: the request is well formed and cannot be processed."""

    summary = "OpenRouter cannot process the request"


class RateLimitError(APIError):
    """429: too many requests; also 402 while other requests have reserved the credit.

    ``reason``: ``free_daily``, ``free_per_minute``, ``model_limit``, ``shared_capacity``,
    ``in_flight_budget`` or None. ``retry_after``: the seconds to wait, or None if that is unknown.
    """

    summary = "OpenRouter's rate limit is reached"
    is_retryable = True


class ServerError(APIError):
    """5xx: OpenRouter has trouble."""

    summary = "OpenRouter has trouble"
    is_retryable = True


class ProviderError(APIError):
    """Any error status that OpenRouter relays from the provider of a model.

    The error's ``metadata`` names the provider. Such an error says nothing about the visitor's key
    or credit, not even a 401 or 402. ``is_retryable`` is true for 408, 409, 429 and 5xx.
    """

    summary = "The provider of the model refused the request"

    def __init__(self, status: int, *details: Any, **named: Any) -> None:
        super().__init__(status, *details, **named)
        vars(self).setdefault("is_retryable", status in (408, 409, 429) or status >= 500)
