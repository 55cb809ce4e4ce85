"""The three calls to OpenRouter's OAuth API, which :class:`OpenRouterClient` documents."""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping
from dataclasses import replace
from time import monotonic
from typing import TYPE_CHECKING, Any

from ..errors import (
    APIError,
    CodeRefusedError,
    InvalidAnswerError,
    OpenRouterError,
    TransportError,
    TransportTimeoutError,
)
from .credentials import MALFORMED_KEY, check_code_verifier, check_method, is_api_key, is_code
from .models import AuthCode, IssuedKey, KeyInfo, parse_object
from .responses import APIResponse, about_request, error_from, error_in

if TYPE_CHECKING:
    from .transport import Transport

_SUCCESSES = (200, 201)
_CODE_REFUSED: Mapping[int, type[APIError]] = {400: CodeRefusedError, 403: CodeRefusedError}
_JSON = {"Accept": "application/json", "Content-Type": "application/json"}
#: Seconds before the first retry. Doubled each time, and varied so that clients do not retry
#: together.
_BACK_OFF_SECONDS = 0.25


def exchange_code(
    transport: Transport,
    seconds: float,
    code: str,
    code_verifier: str | None,
    code_challenge_method: str | None,
) -> IssuedKey:
    """``POST /api/v1/auth/keys``, once. Without ``Authorization``: there is no key yet."""
    problem = _check_exchange(code, code_verifier, code_challenge_method)
    if problem is not None:
        raise ValueError(problem)
    body = {"code": code}
    if code_verifier is not None:
        body["code_verifier"] = code_verifier
        body["code_challenge_method"] = code_challenge_method or "S256"
    response = transport.send("POST", "/api/v1/auth/keys", _JSON, body, seconds)
    if response.status not in _SUCCESSES:
        raise _refusal(transport, response, code, code_verifier, meanings=_CODE_REFUSED)
    # An error inside a success is not documented here, and a key may exist.
    issued = IssuedKey.from_json(parse_object(response.body) or {})
    if issued is None:
        raise InvalidAnswerError(
            "OpenRouter's response has no well-formed key", status=response.status
        )
    return issued


def create_auth_code(
    transport: Transport,
    seconds: float,
    headers: Mapping[str, str],
    api_key: str,
    body: Mapping[str, Any],
) -> AuthCode:
    """``POST /api/v1/auth/keys/code``, once: a second one would make a second code."""
    if not is_api_key(api_key):
        raise ValueError(MALFORMED_KEY)
    headers = {**headers, **_JSON, "Authorization": f"Bearer {api_key}"}
    response = transport.send("POST", "/api/v1/auth/keys/code", headers, body, seconds)
    # A plain code_challenge is the code_verifier.
    sent = (body.get("code_challenge"), body["callback_url"])
    if response.status not in _SUCCESSES:
        raise _refusal(transport, response, *sent, api_key=api_key)
    found = parse_object(response.body) or {}
    created = AuthCode.from_json(found)
    if created is None:
        raise _error_inside(transport, response, found, "well-formed code", *sent, api_key=api_key)
    return created


def get_key_info(
    transport: Transport,
    seconds: float,
    headers: Mapping[str, str],
    api_key: str,
    *,
    retries: int,
    sleep: Callable[[float], None],
) -> KeyInfo:
    """``GET /api/v1/key``, again after a 5xx or a lost connection while the time lasts."""
    if not is_api_key(api_key):
        raise ValueError(MALFORMED_KEY)
    headers = {**headers, "Accept": "application/json", "Authorization": f"Bearer {api_key}"}
    finish_by = monotonic() + seconds
    for retry in range(retries):
        try:
            return _key_info(transport, finish_by - monotonic(), headers, api_key)
        except OpenRouterError as error:
            pause = _pause(error, retry)
            if pause is None or monotonic() + pause >= finish_by:
                raise
        sleep(pause)
    return _key_info(transport, finish_by - monotonic(), headers, api_key)


def _key_info(
    transport: Transport, seconds: float, headers: Mapping[str, str], api_key: str
) -> KeyInfo:
    response = transport.send("GET", "/api/v1/key", headers, None, seconds)
    if response.status != 200:
        error = _refusal(transport, response, api_key=api_key)
        raise about_request(error, "GET", f"{transport.base_url}/api/v1/key")
    found = parse_object(response.body) or {}
    info = KeyInfo.from_json(found)
    if info is None:
        raise _error_inside(transport, response, found, "data about the key", api_key=api_key)
    # The label is the masked key, unless OpenRouter forgets to mask it.
    return replace(info, label=None) if api_key in (info.label or "") else info


def _pause(error: OpenRouterError, retry: int) -> float | None:
    """Return the seconds to wait before a retry, or None if a retry would not help."""
    if isinstance(error, TransportTimeoutError):
        return None
    retry_after = None
    if isinstance(error, APIError) and error.status >= 500:
        retry_after = error.retry_after
    elif not isinstance(error, TransportError):
        return None
    pause = _BACK_OFF_SECONDS * float(2**retry) * random.uniform(0.5, 1.5)
    return max(pause, retry_after or 0)


def _check_exchange(code: object, code_verifier: object, method: object) -> str | None:
    """Return what is wrong with the arguments, without repeating them, or None."""
    if not is_code(code):
        return "code must be 1 to 1024 printable ASCII characters without blanks"
    if code_verifier is None:
        return None if method is None else "code_challenge_method needs a code_verifier"
    return check_code_verifier(code_verifier) or (None if method is None else check_method(method))


def _error_inside(
    transport: Transport,
    response: APIResponse,
    found: Mapping[str, Any],
    wanted: str,
    *secrets: str | None,
    api_key: str,
) -> OpenRouterError:
    """Return the error inside a success, or that ``wanted`` is missing."""
    error = error_in(
        found,
        base_url=transport.base_url,
        api_key=api_key,
        secrets=secrets,
        headers=response.headers,
    )
    return error or InvalidAnswerError(
        f"OpenRouter's response has no {wanted}", status=response.status
    )


def _refusal(
    transport: Transport,
    response: APIResponse,
    *secrets: str | None,
    api_key: str | None = None,
    meanings: Mapping[int, type[APIError]] | None = None,
) -> OpenRouterError:
    return error_from(
        response.status,
        response.headers,
        response.body,
        base_url=transport.base_url,
        api_key=api_key,
        secrets=secrets,
        meanings=meanings,
    )
