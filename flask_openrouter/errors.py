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
    └── APIError                     a response with an error status
        ├── CodeRefusedError         400 or 403 to the exchange of a code: start again
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

No message, argument or attribute of any of them holds a key, a code, a code_verifier or an
encryption key.
"""

from __future__ import annotations

from typing import ClassVar


class OpenRouterError(Exception):
    """Base of all exceptions of this package."""


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

    def __init__(self, message: str, *, reason: str) -> None:
        super().__init__(message)
        self.reason = reason


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

    def __init__(self, message: str, *, status: int | None = None) -> None:
        super().__init__(message)
        self.status = status


class APIError(OpenRouterError):
    """A response with an error status (OpenRouter API reference, "Errors").

    ``status``: the HTTP status. ``upstream_message``: OpenRouter's message, cut to 200 characters
    and without control characters, or ``""``; foreign text, so escape it before you show it.
    ``request_id``: OpenRouter's id of the request, or None. ``retry_after``: seconds to wait, or
    None. ``is_retryable``: whether the same idempotent call may work a little later.
    """

    is_retryable: bool = False
    #: The start of the message.
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
    """400 or 403: OpenRouter refused the authorization code. Start a new login."""

    summary = "OpenRouter refused the authorization code"


class BadRequestError(APIError):
    """400: the request is malformed."""

    summary = "OpenRouter found the request malformed"


class KeyRejectedError(APIError):
    """401: the key was deleted, disabled or has expired. The visitor has to connect again.

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

    The key itself is fine. ``settings_url`` is where its owner can add credit or raise the limit:
    below the base URL in use, or at openrouter.ai if a view of the app raises this error.
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
    """429: too many requests. ``retry_after``: the seconds to wait, or None if OpenRouter does not
    say."""

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
