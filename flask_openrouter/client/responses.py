"""OpenRouter's responses, and the errors in them: the one reader of all the forms they have.

An error comes as a status (with JSON, text or HTML), as the JSON of a 200, as an event of a stream,
or on one of the choices in them.

Nothing here raises because of what OpenRouter sent: a response may hold a key, and an exception
would carry it in its arguments (``JSONDecodeError.doc``) or in the locals of its frames.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from types import MappingProxyType
from typing import Any, Final
from urllib.parse import quote

from ..errors import (
    APIError,
    InvalidAnswerError,
    KeyRejectedError,
    OpenRouterError,
    OutOfCreditError,
    RateLimitError,
)
from .base_url import OPENROUTER, credits_url, guardrails_url, key_url, keys_url, privacy_url
from .completions import choices_of
from .credentials import hash_of_key
from .events import ServerSentEvent
from .models import parse_leniently, parse_moment
from .reasons import Cause, cause_of, metadata_of, status_of
from .retry_after import parse_retry_after, seconds_to_wait
from .spending import NEWS

__all__ = [
    "APIResponse",
    "about_request",
    "clean_message",
    "error_from",
    "error_in",
    "error_in_event",
    "may_be_an_error",
    "media_type",
    "parse_retry_after",
]

MAX_MESSAGE_LENGTH: Final = 200
#: The largest body of a 200 in which an error is looked for, in bytes.
MAX_ERROR_BYTES: Final = 65_536
#: Headers with an id of the request: the common name, and that of Cloudflare, OpenRouter's CDN.
REQUEST_ID_HEADERS: Final = ("x-request-id", "cf-ray")
#: A page for settings that OpenRouter's message may name.
_PREFERENCES: Final = "/settings/preferences"
_ANY_KEY: Final = re.compile(r"sk-or-[A-Za-z0-9_-]{8,}")
_NO_HEADERS: Final[Mapping[str, str]] = MappingProxyType({})


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
    api_key: str | None = None,
    secrets: Iterable[str | None] = (),
    meanings: Mapping[int, type[APIError]] | None = None,
    now: datetime | None = None,
) -> OpenRouterError:
    """Return the error that a response with an error status stands for; raise nothing.

    :param headers: with lower-case names, or case-insensitive.
    :param base_url: of the OpenRouter that responded, for the links in the error.
    :param api_key: the key that was sent; None if there was none, as in an exchange.
    :param secrets: the other credentials sent; they are removed from OpenRouter's message.
    :param meanings: the error classes of this call, by status, where they differ from the usual.
    :param now: the time from which ``retry_after`` counts.
    """
    if status < 400 or status > 599:
        return InvalidAnswerError(
            f"OpenRouter sent an unexpected response (HTTP {status})", status=status
        )
    error = _error_object(body, headers)
    kind = (meanings or {}).get(status)
    cause = cause_of(status, error) if kind is None else Cause(kind)
    reader = _Reader(base_url, api_key, (*secrets, api_key), headers, now)
    return reader.error(cause, status, error)


def about_request(error: OpenRouterError, method: str | None, url: object) -> OpenRouterError:
    """Return the error; a :class:`KeyRejectedError` learns whether it answers ``GET /key``."""
    if isinstance(error, KeyRejectedError):
        path = str(url).partition("?")[0]
        error.is_confirmed = method == "GET" and path.endswith("/api/v1/key")
    return error


def error_in(
    body: Mapping[str, Any],
    *,
    event: str | None = None,
    base_url: str = OPENROUTER,
    api_key: str | None = None,
    secrets: Iterable[str | None] = (),
    headers: Mapping[str, str] = _NO_HEADERS,
    now: datetime | None = None,
) -> APIError | None:
    """Return the error in a JSON object of a 200, or of an event of a stream; None without one.

    It may be a top-level ``error``, one on a choice, or an event that is an error itself. Its
    ``code`` is the ``status``, or 502 if that is not an error status. A 401 in it proves nothing
    about the key: it is a retryable :class:`APIError` with the reason ``unconfirmed``. The other
    parameters are those of :func:`error_from`.

    :param event: the name of the event, if the stream gives one.
    """
    error = _error_member(body, event)
    if error is None:
        return None
    status = status_of(error)
    cause = cause_of(status, error)
    if cause.kind is KeyRejectedError:
        cause = Cause(APIError, "unconfirmed")
    return _Reader(base_url, api_key, (*secrets, api_key), headers, now).error(cause, status, error)


def error_in_event(
    event: ServerSentEvent, data: Mapping[str, Any] | None, **known: Any
) -> OpenRouterError | None:
    """Return the error in an event of a stream, or for an event that is not JSON; None without one.

    :param data: ``event.parsed()``.
    :param known: what :func:`error_in` is to know about the response.
    """
    if data is None:
        if event.kind != "error":
            return InvalidAnswerError("OpenRouter's stream has an event that is not JSON")
        data = {"error": event.data or True}
    return error_in(data, event=event.kind or None, **known)


@dataclass(frozen=True, slots=True)
class _Reader:
    """What the reading of an error needs to know about its response."""

    base_url: str
    api_key: str | None = field(repr=False)
    secrets: tuple[str | None, ...] = field(repr=False)
    headers: Mapping[str, str] = field(repr=False)
    now: datetime | None

    def error(self, cause: Cause, status: int, error: Mapping[str, Any]) -> APIError:
        kind, reason = cause.kind, cause.reason
        metadata = metadata_of(error)
        is_limited = status == 429 or issubclass(kind, RateLimitError)
        result = kind(
            status,
            clean_message(_words_of(error), self.secrets),
            request_id=_request_id(self.headers, self.secrets),
            retry_after=seconds_to_wait(
                self.headers, error, reason, is_limited=is_limited, now=self.now
            ),
            reason=reason,
            provider_name=self._provider_name(metadata),
            help_url=self._help_url(kind, reason, error),
            is_retryable=_is_retryable(reason),
        )
        if isinstance(result, OutOfCreditError):
            result.settings_url = credits_url(self.base_url)
            result.resets_at = parse_moment(metadata.get("resets_at"))
            if self.api_key:
                result.key_hash = hash_of_key(self.api_key)
                NEWS.note(result.key_hash)
        elif isinstance(result, KeyRejectedError):
            result.key_hash = hash_of_key(self.api_key) if self.api_key else ""
        return result

    def _provider_name(self, metadata: Mapping[str, Any]) -> str | None:
        name = metadata.get("provider_name")
        return clean_message(name, self.secrets)[:80] or None if isinstance(name, str) else None

    def _help_url(
        self, kind: type[APIError], reason: str | None, error: Mapping[str, Any]
    ) -> str | None:
        if kind is KeyRejectedError:
            return keys_url(self.base_url)
        if reason in ("privacy", "permission") and (
            _PREFERENCES in _words_of(error) or metadata_of(error).get("missing_attestation_types")
        ):
            return f"{self.base_url}{_PREFERENCES}"
        if reason == "privacy":
            return privacy_url(self.base_url)
        if reason in ("guardrail", "guardrail_budget"):
            return guardrails_url(self.base_url)
        if reason in ("account", "free_daily"):
            return credits_url(self.base_url)
        if reason == "max_tokens" and "/settings/keys" not in _words_of(error):
            return credits_url(self.base_url)
        if reason in ("key_limit", "max_tokens"):
            if self.api_key is None:
                return keys_url(self.base_url)
            return key_url(self.base_url, hash_of_key(self.api_key))
        return None


def _is_retryable(reason: str | None) -> bool | None:
    """Whether a retry helps, where the reason decides and not the class."""
    if reason == "privacy":
        return False
    return True if reason == "unconfirmed" else None


def media_type(headers: Mapping[str, str]) -> str:
    """Return the media type of a response, in lower case; empty if it has none."""
    return (headers.get("content-type") or "").partition(";")[0].strip().lower()


def may_be_an_error(headers: Mapping[str, str], body: bytes) -> bool:
    """Whether to look for an error in the body of a 200.

    Not in a large one, nor in a file that OpenRouter stores.
    """
    is_text = media_type(headers) in ("application/json", "text/plain", "")
    return is_text and len(body) <= MAX_ERROR_BYTES and b'"error"' in body


def clean_message(message: str, secrets: Iterable[str | None] = ()) -> str:
    """Return foreign text as one printable line of at most 200 characters, without ``secrets``."""
    for secret in secrets:
        if secret:
            for form in {secret, quote(secret, safe="")}:
                message = message.replace(form, "[removed]")
    message = _ANY_KEY.sub("[removed]", message)
    printable = "".join(c if c.isprintable() else " " for c in message)
    return " ".join(printable.split())[:MAX_MESSAGE_LENGTH].rstrip()


def _error_object(body: bytes | None, headers: Mapping[str, str]) -> Mapping[str, Any]:
    """Return the error object in the body of a response with an error status; empty without one."""
    text = "" if body is None else _text_of(body, headers)
    parsed = parse_leniently(text.removeprefix("\ufeff"))
    if parsed is None:
        # HTML is a page of Cloudflare, OpenRouter's CDN, or of a proxy.
        return {"text": text} if media_type(headers) == "text/plain" else {}
    found = _error_member(parsed, None)
    if found is not None:
        return found
    # Not in OpenRouter's form, so its words decide nothing.
    message = parsed.get("message") if "code" in parsed else None
    found_words = map(_words_in, (message, parsed.get("detail"), parsed.get("errors")))
    return {"text": next(filter(None, found_words), "")}


def _text_of(body: bytes, headers: Mapping[str, str]) -> str:
    charset = re.search(
        r"charset=[\"']?([\w.:-]+)", headers.get("content-type") or "", re.IGNORECASE
    )
    try:
        return body.decode(charset[1] if charset else "utf-8", "replace")
    except (LookupError, ValueError):
        return body.decode("utf-8", "replace")


def _error_member(body: Mapping[str, Any], event: str | None) -> Mapping[str, Any] | None:
    """Return the error object in a JSON object, or None."""
    found = _as_error(body.get("error"))
    if found is not None:
        return found
    for choice in choices_of(body):
        for place in (choice, choice.get("delta"), choice.get("message")):
            found = _as_error(place.get("error")) if isinstance(place, Mapping) else None
            if found is not None:
                return found
    kind = body.get("type")
    if event == "error" or kind == "error":
        return body
    # Events of /api/v1/responses.
    if kind in ("response.failed", "response.error"):
        response = body.get("response")
        found = _as_error(response.get("error")) if isinstance(response, Mapping) else None
        return found or {}
    return None


def _as_error(value: object) -> Mapping[str, Any] | None:
    if isinstance(value, Mapping):
        return value
    if isinstance(value, str):
        return {"message": value} if value else None
    # Something else than nothing is an error that says nothing.
    return {} if value else None


def _words_of(error: Mapping[str, Any]) -> str:
    message = error.get("message", error.get("text"))
    if error.get("name") != "ZodError":
        return message if isinstance(message, str) else ""
    # The message of a ZodError is its problems, as a JSON array.
    issues = parse_leniently(f'{{"issues":{message}}}') or error
    return _words_in(issues.get("issues")) or (message if isinstance(message, str) else "")


def _words_in(problems: object) -> str:
    """Return a text, or the texts of the first problems in a list."""
    if isinstance(problems, str):
        return problems
    words = []
    for issue in problems[:3] if isinstance(problems, list) else ():
        text = issue.get("message", issue.get("msg")) if isinstance(issue, Mapping) else None
        if isinstance(text, str):
            path = issue.get("path", issue.get("loc"))
            place = ".".join(str(part) for part in path) if isinstance(path, list) else ""
            words.append(f"{place}: {text}" if place else text)
    return "; ".join(words)


def _request_id(headers: Mapping[str, str], secrets: Iterable[str | None]) -> str | None:
    for name in REQUEST_ID_HEADERS:
        value = headers.get(name)
        if value and re.fullmatch(r"[!-~]{1,128}", value):
            return clean_message(value, secrets)
    return None
