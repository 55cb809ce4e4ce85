"""OpenRouter's responses, and the error that a status stands for.

Nothing here raises because of what OpenRouter sent: a response may hold a key, and an exception
would carry it in its arguments (``JSONDecodeError.doc``) or in the locals of its frames.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timezone
from email.utils import parsedate_to_datetime
from typing import Any, TypeVar
from urllib.parse import quote

from ..errors import (
    APIError,
    BadRequestError,
    ConflictError,
    ForbiddenError,
    InvalidAnswerError,
    KeyRejectedError,
    MethodNotAllowedError,
    NotFoundError,
    OpenRouterError,
    OutOfCreditError,
    PayloadTooLargeError,
    ProviderError,
    RateLimitError,
    RequestTimeoutError,
    ServerError,
    UnprocessableError,
)
from .base_url import OPENROUTER, credits_url
from .credentials import hash_of_key
from .models import parse_object

Result = TypeVar("Result")

MAX_MESSAGE_LENGTH = 200
#: Headers with an id of the request: the common name, and that of Cloudflare, OpenRouter's CDN.
REQUEST_ID_HEADERS = ("x-request-id", "cf-ray")

_ERRORS: dict[int, type[APIError]] = {
    400: BadRequestError,
    401: KeyRejectedError,
    402: OutOfCreditError,
    403: ForbiddenError,
    404: NotFoundError,
    405: MethodNotAllowedError,
    408: RequestTimeoutError,
    409: ConflictError,
    413: PayloadTooLargeError,
    422: UnprocessableError,
    429: RateLimitError,
}
#: Members of ``metadata`` that tell an error relayed from the provider of a model (OpenRouter's API
#: reference, "Errors"). In an error of OpenRouter's own they are absent, null or empty.
_OF_A_PROVIDER = ("provider_name", "provider_code", "provider_error_code", "raw")
#: OpenRouter's words for a key whose own limit is spent, which is a 403. Observed: "Key limit
#: exceeded. Manage it using https://openrouter.ai/keys".
_LIMIT_SPENT = re.compile(
    r"\bkey limit\b|\binsufficient (?:credits|funds|balance)\b"
    r"|\b(?:credit|spending|budget)s?\b.{0,40}\b(?:exceeded|exhausted|reached|spent)\b",
    re.IGNORECASE,
)
_ANY_KEY = re.compile(r"sk-or-[A-Za-z0-9_-]{8,}")


@dataclass(frozen=True, slots=True)
class APIResponse:
    """A response of OpenRouter. ``body`` is None if it is too large or cannot be decoded."""

    status: int
    headers: Mapping[str, str] = field(repr=False)
    body: bytes | None = field(repr=False)


def error_from(
    status: int,
    headers: Mapping[str, str],
    body: bytes | None,
    *,
    base_url: str = OPENROUTER,
    secrets: Iterable[str | None] = (),
    meanings: Mapping[int, type[APIError]] | None = None,
) -> OpenRouterError:
    """Return the error that a response other than a success stands for; raise nothing.

    :param headers: with lower-case names, or case-insensitive.
    :param base_url: of the OpenRouter that responded, for the links in the error.
    :param secrets: the credentials sent; they are removed from OpenRouter's message.
    :param meanings: the error classes of this call, by status, where they differ from the usual.
    """
    if status < 400 or status > 599:
        return InvalidAnswerError(
            f"OpenRouter sent an unexpected response (HTTP {status})", status=status
        )
    error = _error_object(body)
    message = error.get("message")
    text = clean_message(message if isinstance(message, str) else "", secrets)
    kind = (meanings or {}).get(status) or _kind_of(status, error)
    result = kind(
        status,
        text,
        request_id=_request_id(headers, secrets),
        retry_after=parse_retry_after(headers.get("retry-after")),
    )
    if isinstance(result, OutOfCreditError):
        result.settings_url = credits_url(base_url)
    return result


def _kind_of(status: int, error: Mapping[str, Any]) -> type[APIError]:
    metadata = error.get("metadata")
    if not isinstance(metadata, Mapping):
        metadata = {}
    if status == 403 and metadata.get("reasons"):
        # Moderation. Its metadata names a provider, too, and its message may quote the visitor.
        return ForbiddenError
    if any(metadata.get(name) for name in _OF_A_PROVIDER):
        return ProviderError
    if status == 403 and is_limit_spent(error):
        return OutOfCreditError
    return _ERRORS.get(status) or (ServerError if status >= 500 else APIError)


def about_key(result: Result, api_key: str) -> Result:
    """Return ``result``; a :class:`KeyRejectedError` gets the hash of the key."""
    if isinstance(result, KeyRejectedError):
        result.key_hash = hash_of_key(api_key)
    return result


def is_limit_spent(error: Mapping[str, Any]) -> bool:
    """Whether OpenRouter's error object for a 403 says that the key's own limit is spent."""
    metadata = error.get("metadata")
    source = metadata.get("limit_source") if isinstance(metadata, Mapping) else None
    if isinstance(source, str) and re.search(r"credit|key|budget", source):
        return True
    message = error.get("message")
    return isinstance(message, str) and _LIMIT_SPENT.search(message) is not None


def clean_message(message: str, secrets: Iterable[str | None] = ()) -> str:
    """Return foreign text as one printable line of at most 200 characters, without ``secrets``."""
    for secret in secrets:
        if secret:
            for form in {secret, quote(secret, safe="")}:
                message = message.replace(form, "[removed]")
    message = _ANY_KEY.sub("[removed]", message)
    printable = "".join(c if c.isprintable() else " " for c in message)
    return " ".join(printable.split())[:MAX_MESSAGE_LENGTH].rstrip()


def parse_retry_after(value: str | None, now: datetime | None = None) -> float | None:
    """Read ``Retry-After`` (RFC 9110 §10.2.3) as seconds from ``now``; None if there is none."""
    if value is None or len(value) > 64:
        return None
    try:
        seconds = float(value)
    except ValueError:
        try:
            moment = parsedate_to_datetime(value)
        except (ValueError, OverflowError):
            return None
        if moment.tzinfo is None:
            moment = moment.replace(tzinfo=timezone.utc)
        seconds = (moment - (now or datetime.now(timezone.utc))).total_seconds()
        return max(0.0, seconds)
    return seconds if math.isfinite(seconds) and seconds >= 0 else None


def _error_object(body: bytes | None) -> Mapping[str, Any]:
    error = (parse_object(body) or {}).get("error")
    if isinstance(error, str):
        return {"message": error}
    return error if isinstance(error, Mapping) else {}


def _request_id(headers: Mapping[str, str], secrets: Iterable[str | None]) -> str | None:
    for name in REQUEST_ID_HEADERS:
        value = headers.get(name)
        if value and re.fullmatch(r"[!-~]{1,128}", value):
            return clean_message(value, secrets)
    return None
