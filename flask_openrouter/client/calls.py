"""The three calls to OpenRouter's OAuth API. Each returns its result or the error to raise."""

from __future__ import annotations

import json
import random
from collections.abc import Callable, Mapping
from dataclasses import replace
from time import monotonic
from typing import TYPE_CHECKING, Any

from ..errors import (
    APIError,
    CodeRefusedError,
    InvalidAnswerError,
    TransportError,
    TransportTimeoutError,
)
from . import pkce
from .answers import Answer, about_key, error_from, parse_object
from .credentials import MALFORMED_KEY, is_api_key, is_code
from .deadline import Deadline
from .models import AuthCode, IssuedKey, KeyInfo
from .outcome import outcome_of

if TYPE_CHECKING:
    from .transport import Transport

_SUCCESSES = (200, 201)
_CODE_REFUSED: Mapping[int, type[APIError]] = {400: CodeRefusedError, 403: CodeRefusedError}
_JSON = {"Accept": "application/json", "Content-Type": "application/json"}
#: Seconds before the first retry; doubled each time, and varied lest all clients move in step.
_BACK_OFF_SECONDS = 0.25


def exchange_code(
    transport: Transport,
    seconds: float,
    code: str,
    code_verifier: str | None,
    code_challenge_method: str | None,
) -> IssuedKey | BaseException:
    """``POST /api/v1/auth/keys``, once. Without ``Authorization``: there is no key yet."""
    problem = _check_exchange(code, code_verifier, code_challenge_method)
    if problem is not None:
        return ValueError(problem)
    body = {"code": code}
    if code_verifier is not None:
        body["code_verifier"] = code_verifier
        body["code_challenge_method"] = code_challenge_method or "S256"
    answer = transport.send("POST", "/api/v1/auth/keys", _JSON, _encode(body), Deadline(seconds))
    if isinstance(answer, BaseException):
        return answer
    if answer.status not in _SUCCESSES:
        return _refusal(answer, code, code_verifier, meanings=_CODE_REFUSED)
    issued = IssuedKey.from_json(parse_object(answer.body) or {})
    return issued or InvalidAnswerError(
        "OpenRouter's answer holds no well-formed key", status=answer.status
    )


def create_auth_code(
    transport: Transport,
    seconds: float,
    headers: Mapping[str, str],
    api_key: str,
    body: Mapping[str, Any],
) -> AuthCode | BaseException:
    """``POST /api/v1/auth/keys/code``, once: a second one would make a second code."""
    if not is_api_key(api_key):
        return ValueError(MALFORMED_KEY)
    headers = {**headers, **_JSON, "Authorization": f"Bearer {api_key}"}
    answer = transport.send(
        "POST", "/api/v1/auth/keys/code", headers, _encode(body), Deadline(seconds)
    )
    if isinstance(answer, BaseException):
        return answer
    if answer.status not in _SUCCESSES:
        # A plain code_challenge is the code_verifier.
        refusal = _refusal(answer, api_key, body.get("code_challenge"), body["callback_url"])
        return about_key(refusal, api_key)
    created = AuthCode.from_json(parse_object(answer.body) or {})
    return created or InvalidAnswerError(
        "OpenRouter's answer holds no well-formed code", status=answer.status
    )


def get_key_info(
    transport: Transport,
    seconds: float,
    headers: Mapping[str, str],
    api_key: str,
    *,
    retries: int,
    sleep: Callable[[float], None],
) -> KeyInfo | BaseException:
    """``GET /api/v1/key``, again after a 5xx or a lost connection while the time lasts."""
    if not is_api_key(api_key):
        return ValueError(MALFORMED_KEY)
    headers = {**headers, "Accept": "application/json", "Authorization": f"Bearer {api_key}"}
    finish_by = monotonic() + seconds
    for retry in range(retries):
        result = _key_info(transport, finish_by - monotonic(), headers, api_key)
        pause = _pause(result, retry)
        if pause is None or monotonic() + pause >= finish_by:
            return result
        interrupted = outcome_of(sleep, pause)
        if isinstance(interrupted, BaseException):
            return interrupted
    return _key_info(transport, finish_by - monotonic(), headers, api_key)


def _key_info(
    transport: Transport, seconds: float, headers: Mapping[str, str], api_key: str
) -> KeyInfo | BaseException:
    answer = transport.send("GET", "/api/v1/key", headers, None, Deadline(seconds))
    if isinstance(answer, BaseException):
        return answer
    if answer.status != 200:
        return about_key(_refusal(answer, api_key), api_key)
    info = KeyInfo.from_json(parse_object(answer.body) or {})
    if info is None:
        return InvalidAnswerError(
            "OpenRouter's answer says nothing about the key", status=answer.status
        )
    # The label is the masked key, unless the other side forgets to mask it.
    return replace(info, label=None) if api_key in (info.label or "") else info


def _pause(result: object, retry: int) -> float | None:
    """Return the seconds to wait before a retry, or None if one would be no use."""
    if isinstance(result, TransportTimeoutError):
        return None
    is_5xx = isinstance(result, APIError) and result.status >= 500
    if not (is_5xx or isinstance(result, TransportError)):
        return None
    pause = _BACK_OFF_SECONDS * float(2**retry) * random.uniform(0.5, 1.5)
    if isinstance(result, APIError) and result.retry_after is not None:
        return max(pause, result.retry_after)
    return pause


def _check_exchange(code: object, code_verifier: object, method: object) -> str | None:
    """Return what is wrong with the arguments of an exchange, in words without them, or None."""
    if not is_code(code):
        return "code must be 1 to 1024 printable ASCII characters without blanks"
    if code_verifier is None:
        return None if method is None else "code_challenge_method needs a code_verifier"
    return pkce.check_code_verifier(code_verifier) or (
        None if method is None else pkce.check_method(method)
    )


def _refusal(
    answer: Answer, *secrets: str | None, meanings: Mapping[int, type[APIError]] | None = None
) -> BaseException:
    return error_from(
        answer.status, answer.headers, answer.body, secrets=secrets, meanings=meanings
    )


def _encode(body: Mapping[str, Any]) -> bytes:
    return json.dumps(body, separators=(",", ":")).encode("ascii")
