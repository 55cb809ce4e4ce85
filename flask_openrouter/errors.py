"""Every exception of this package.

::

    OpenRouterError
    ├── ConfigurationError           a setting is wrong; raised by init_app and constructors only
    ├── NotConnectedError            the key was asked for, and this visitor has none
    ├── LoginError                   this login cannot be finished; the visitor starts again
    │   ├── StateMismatchError       state missing, unknown, spent, expired or of somebody else
    │   └── AccessDeniedError        the visitor declined at OpenRouter
    ├── KeyStorageError              the storage failed; nothing can be said about the key
    ├── TransportError               OpenRouter gave no answer
    │   └── TransportTimeoutError    ... within the time limit
    ├── InvalidAnswerError           an answer that is not what OpenRouter documents
    └── APIError                     OpenRouter answered with an error status
        ├── CodeRefusedError         400 or 403 on the exchange of a code: start again
        ├── BadRequestError          400
        ├── KeyRejectedError         401: the key is dead
        ├── OutOfCreditError         402, or 403 because the key's limit is spent
        ├── ForbiddenError           403
        ├── NotFoundError            404
        ├── MethodNotAllowedError    405
        ├── RequestTimeoutError      408
        ├── ConflictError            409
        ├── PayloadTooLargeError     413
        ├── UnprocessableError       422
        ├── RateLimitError           429
        ├── ServerError              5xx
        └── ProviderError            any of these, relayed from the provider of a model

No message, argument or attribute of any of them ever holds a key, a code, a code_verifier or an
encryption key.
"""

from __future__ import annotations

from typing import ClassVar


class OpenRouterError(Exception):
    """Base of every exception that this package raises on purpose."""


class ConfigurationError(OpenRouterError, ValueError):
    """A setting or argument is wrong. The message names it and the remedy."""


class NotConnectedError(OpenRouterError):
    """The key of a visitor who is not connected was asked for."""


class LoginError(OpenRouterError):
    """This login cannot be finished; the visitor has to start again.

    ``reason`` is a short machine-readable code: one of those documented with the subclasses, or
    ``insecure_address``, to which OpenRouter sends nobody back.
    """

    def __init__(self, message: str, *, reason: str) -> None:
        super().__init__(message)
        self.reason = reason


class StateMismatchError(LoginError):
    """No login of this browser is waiting for this callback (RFC 6749 §10.12).

    ``reason``: ``malformed``, ``unknown``, ``expired`` or ``foreign`` (started by another user of
    the app, or against another base URL).
    """


class AccessDeniedError(LoginError):
    """OpenRouter sent the visitor back without a code: they declined. ``reason``: ``declined``."""


class KeyStorageError(OpenRouterError):
    """The storage failed. ``__cause__`` is what it raised; the message names the operation only.

    Without a cause: the storage did not keep what it was given, or the id of the app's user is one
    that no storage can keep apart from others.
    """


class TransportError(OpenRouterError):
    """OpenRouter gave no usable HTTP answer: unreachable, TLS failure, connection lost.

    ``was_sent`` is true when the request may have reached OpenRouter. A code that was sent may have
    been turned into a key although nobody saw the answer. ``is_retryable``: whether the same call
    may work a little later, if it changes nothing.
    """

    is_retryable = True

    def __init__(self, message: str, *, was_sent: bool = False) -> None:
        super().__init__(message)
        self.was_sent = was_sent


class TransportTimeoutError(TransportError):
    """The time limit for the whole request ran out."""


class InvalidAnswerError(OpenRouterError):
    """OpenRouter answered something that its documentation does not allow.

    ``status`` is the HTTP status of that answer, or None if it was not even HTTP. ``is_retryable``
    is false.
    """

    is_retryable = False

    def __init__(self, message: str, *, status: int | None = None) -> None:
        super().__init__(message)
        self.status = status


class APIError(OpenRouterError):
    """OpenRouter answered with an error status (OpenRouter API reference, "Errors").

    ``status``: the HTTP status. ``upstream_message``: OpenRouter's own words, cut to 200 characters
    and free of control characters, or ``""``; foreign text, so escape it before showing it.
    ``request_id``: OpenRouter's id of the request, or None. ``retry_after``: seconds to wait, or
    None. ``is_retryable``: whether the same idempotent call may work a little later.
    """

    is_retryable: bool = False
    #: What the message says when no more is known.
    summary: ClassVar[str] = "OpenRouter refused the request"

    def __init__(
        self,
        status: int,
        upstream_message: str = "",
        *,
        request_id: str | None = None,
        retry_after: float | None = None,
    ) -> None:
        message = f"{self.summary} (HTTP {status})"
        super().__init__(f"{message}: {upstream_message}" if upstream_message else message)
        self.status = status
        self.upstream_message = upstream_message
        self.request_id = request_id
        self.retry_after = retry_after


class CodeRefusedError(APIError):
    """The authorization code was refused, whatever the reason (400 or 403). Start a new login."""

    summary = "OpenRouter refused the authorization code"


class BadRequestError(APIError):
    """400: the request is malformed."""

    summary = "OpenRouter found the request malformed"


class KeyRejectedError(APIError):
    """401: the key was deleted, disabled or has expired. Only a new login helps.

    ``key_hash``: the SHA-256 of the key in hexadecimal, or None when a view raised this error.
    """

    summary = "OpenRouter rejected the key"
    key_hash: str | None = None

    def __init__(
        self,
        status: int = 401,
        upstream_message: str = "",
        *,
        request_id: str | None = None,
        retry_after: float | None = None,
    ) -> None:
        super().__init__(status, upstream_message, request_id=request_id, retry_after=retry_after)


class OutOfCreditError(APIError):
    """402, or 403 with a spent key limit: the account or the key has no credit left.

    The key itself is fine. ``settings_url`` is where its owner can add credit or raise the limit,
    at the OpenRouter that responded; at openrouter.ai for an error that a view of the app raises.
    """

    summary = "The OpenRouter account or key is out of credit"
    settings_url: str = "https://openrouter.ai/settings/credits"


class ForbiddenError(APIError):
    """403: not allowed (guardrail, moderation, permission)."""

    summary = "OpenRouter does not allow this request"


class NotFoundError(APIError):
    """404: no such model or address."""

    summary = "OpenRouter does not know this address or model"


class MethodNotAllowedError(APIError):
    """405: wrong HTTP method."""

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
    """429: too many requests. ``retry_after`` says how many seconds to wait, when OpenRouter
    does."""

    summary = "OpenRouter's rate limit is reached"
    is_retryable = True


class ServerError(APIError):
    """5xx: OpenRouter or a provider behind it has trouble."""

    summary = "OpenRouter has trouble"
    is_retryable = True


class ProviderError(APIError):
    """Any error status that OpenRouter relays from the provider of a model.

    The error's ``metadata`` names the provider. Such an error says nothing about the visitor's key
    or credit, not even a 401 or 402. ``is_retryable`` is true for 408, 409, 429 and 5xx.
    """

    summary = "The provider of the model refused the request"

    def __init__(
        self,
        status: int,
        upstream_message: str = "",
        *,
        request_id: str | None = None,
        retry_after: float | None = None,
    ) -> None:
        super().__init__(status, upstream_message, request_id=request_id, retry_after=retry_after)
        self.is_retryable: bool = status in (408, 409, 429) or status >= 500
