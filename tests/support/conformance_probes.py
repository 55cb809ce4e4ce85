"""Probes of the emulator: which parameters have an effect, and which errors need no fault."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import requests
from polling import PATIENCE
from protocol_steps import (
    CALLBACK_URL,
    CODE_VERIFIER,
    S256,
    approved_code,
    authorization_url,
    bearer,
    code_in,
)

from flask_openrouter.emulator import Emulator

Probe = Callable[[Emulator], bool]
QUESTION: Mapping[str, Any] = {
    "model": "openai/gpt-4o-mini",
    "messages": [{"role": "user", "content": "What is Flask?"}],
}


def ask(emulator: Emulator, method: str, path: str, **kwargs: Any) -> int:
    """Return the status of one request with a live key; ``headers={}`` omits the key."""
    kwargs.setdefault("headers", bearer(emulator.issue_key()))
    with requests.Session() as http:
        http.trust_env = False
        return http.request(method, emulator.url + path, timeout=PATIENCE, **kwargs).status_code


def has_effect(of: str, name: str, emulator: Emulator) -> bool:
    """Whether this parameter has an effect in the emulator."""
    probe = _EFFECTS.get((of, name))
    if probe is not None:
        return probe(emulator)
    if of == "/auth":
        query = {"callback_url": CALLBACK_URL, **S256, name: "x" * 300}
        return ask(emulator, "GET", "/auth", params=query) == 400
    body = {"callback_url": CALLBACK_URL, "code": "unknown", **S256, name: _malformed(name)}
    return _json(emulator, of, body) == 400


def refuses(operation: str, status: int, emulator: Emulator) -> bool:
    """Whether the emulator can return this error without a fault."""
    probe = _REFUSALS.get((operation, status))
    return probe is not None and probe(emulator) == status


def _json(emulator: Emulator, of: str, body: Mapping[str, Any], **kwargs: Any) -> int:
    return ask(emulator, "POST", f"/api/v1{of}", json=body, **kwargs)


def _malformed(name: str) -> Any:
    return {"limit": -1, "expires_at": "2099-12-31T23:59Z", "key_label": "x" * 101}.get(name, "?")


def _exchange(emulator: Emulator, **body: Any) -> int:
    return _json(emulator, "/auth/keys", body)


def _state_comes_back(emulator: Emulator) -> bool:
    return "state=mine" in emulator.approve(authorization_url(emulator, state="mine"))


def _header_is_recorded(name: str, emulator: Emulator) -> bool:
    ask(emulator, "GET", "/api/v1/key", headers={name: "a value"})
    return emulator.requests[-1].headers.get(name.lower()) == "a value"


def _spent(emulator: Emulator, **settings: Any) -> int:
    headers = bearer(emulator.issue_key(limit=1, usage=1))
    with emulator.configured(**settings):
        return _json(emulator, "/chat/completions", QUESTION, headers=headers)


def _create_code(emulator: Emulator, **settings: Any) -> int:
    with emulator.configured(**settings):
        return _json(emulator, "/auth/keys/code", {"callback_url": CALLBACK_URL})


def _header(name: str) -> Probe:
    return lambda emulator: _header_is_recorded(name, emulator)


#: Parameters that need another probe than a malformed value and status 400.
_EFFECTS: Mapping[tuple[str, str], Probe] = {
    ("/auth", "state"): _state_comes_back,
    ("/auth/keys", "code"): lambda e: (
        _exchange(e, code=approved_code(e)) == 200 and _exchange(e, code="unknown") == 400
    ),
    ("/auth/keys", "code_verifier"): lambda e: (
        _exchange(e, code=approved_code(e, **S256), code_verifier=CODE_VERIFIER) == 200
        and _exchange(e, code=approved_code(e, **S256), code_verifier="w" * 43) == 403
    ),
    ("/auth/keys", "code_challenge_method"): lambda e: (
        _exchange(
            e,
            code=approved_code(e, **S256),
            code_verifier=CODE_VERIFIER,
            code_challenge_method="plain",
        )
        == 400
    ),
    ("headers", "HTTP-Referer"): _header("HTTP-Referer"),
    ("headers", "X-OpenRouter-Title"): _header("X-OpenRouter-Title"),
    ("headers", "X-OpenRouter-Categories"): _header("X-OpenRouter-Categories"),
}

_REFUSALS: Mapping[tuple[str, int], Callable[[Emulator], int]] = {
    ("exchange", 400): lambda e: _exchange(e, code="unknown"),
    ("exchange", 403): lambda e: _exchange(
        e, code=approved_code(e, **S256), code_verifier="w" * 43
    ),
    ("exchange", 405): lambda e: ask(e, "GET", "/api/v1/auth/keys"),
    ("create_code", 400): lambda e: _json(e, "/auth/keys/code", {"callback_url": "nowhere"}),
    ("create_code", 401): lambda e: _json(e, "/auth/keys/code", {}, headers={}),
    ("create_code", 403): lambda e: _create_code(e, management_keys_only=True),
    ("create_code", 409): lambda e: _create_code(e, create_code_conflict=True),
    ("key", 401): lambda e: ask(e, "GET", "/api/v1/key", headers={}),
    ("chat", 400): lambda e: _json(e, "/chat/completions", {**QUESTION, "model": "no/such"}),
    ("chat", 401): lambda e: _json(e, "/chat/completions", QUESTION, headers={}),
    ("chat", 402): lambda e: _spent(e, spent_limit_status=402),
    ("chat", 403): _spent,
    ("chat", 413): lambda e: _json(e, "/chat/completions", {"user": "x" * 1_100_000}),
}


def issued_code(emulator: Emulator, parameters: Mapping[str, str]) -> str:
    """Return a code that a person approved: from the callback, or headless from the page."""
    if "callback_url" in parameters:
        return code_in(emulator.approve(authorization_url(emulator, **parameters)))
    query = "&".join(f"{name}={value}" for name, value in parameters.items())
    return emulator.approve_headless(f"{emulator.url}/auth?{query}")
