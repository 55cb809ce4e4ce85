"""What an app does at OpenRouter, in the plainest possible way."""

from __future__ import annotations

import re
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit

import requests

from flask_openrouter.emulator import Emulator

# RFC 7636 Appendix B.
CODE_VERIFIER = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk"
CODE_CHALLENGE = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM"
S256 = {"code_challenge": CODE_CHALLENGE, "code_challenge_method": "S256"}
PLAIN = {"code_challenge": CODE_VERIFIER, "code_challenge_method": "plain"}
CALLBACK_URL = "http://localhost:3000/openrouter/callback?state=nonce"


def authorization_url(emulator: Emulator, **parameters: str) -> str:
    """Return the address of a consent page; by default S256 with a callback."""
    return f"{emulator.url}/auth?{urlencode({'callback_url': CALLBACK_URL, **parameters})}"


def code_in(callback_url: str) -> str:
    (code,) = parse_qs(urlsplit(callback_url).query)["code"]
    return code


def approved_code(emulator: Emulator, **parameters: str) -> str:
    """Return a code as the app gets it."""
    return code_in(emulator.approve(authorization_url(emulator, **parameters)))


def exchange(http: requests.Session, emulator: Emulator, **body: Any) -> requests.Response:
    return http.post(f"{emulator.url}/api/v1/auth/keys", json=body)


def bearer(api_key: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {api_key}"}


def error_of(response: requests.Response) -> tuple[int, str]:
    """Return status and message of a documented error body, whose code is the status."""
    error = response.json()["error"]
    assert type(error["code"]) is int
    assert error["code"] == response.status_code
    return response.status_code, error["message"]


def consent_on(page: requests.Response) -> str:
    found = re.search(r'name="consent" value="([^"]+)"', page.text)
    assert found is not None, page.text
    return found[1]


def control(
    http: requests.Session, emulator: Emulator, method: str, path: str, /, **body: Any
) -> requests.Response:
    """Call the control API."""
    return http.request(method, f"{emulator.url}/_emulator{path}", json=body)


def ask(http: requests.Session, url: str) -> requests.Response:
    return http.get(url, allow_redirects=False)


def decide(
    http: requests.Session, emulator: Emulator, consent: str, decision: str, **headers: str
) -> requests.Response:
    return http.post(
        f"{emulator.url}/auth",
        data={"consent": consent, "decision": decision},
        headers=headers,
        allow_redirects=False,
    )
