"""CORS: scripts of any web page may call the API, and nothing else."""

from __future__ import annotations

import pytest
import requests
from cases import case
from protocol_steps import bearer

from flask_openrouter.emulator import Emulator

PAGE = {"Origin": "https://app.example"}
PATHS = ["/key", "/models", "/auth/keys", "/auth/keys/code", "/chat/completions", "/nowhere"]


@pytest.mark.requirement("E4", "E9")
def test_a_preflight_is_answered_as_measured(emulator: Emulator, http: requests.Session) -> None:
    for path in PATHS:
        with case(path):
            response = http.options(
                f"{emulator.url}/api/v1{path}",
                headers={**PAGE, "Access-Control-Request-Method": "POST"},
            )
            assert response.status_code == 204
            assert response.content == b""
            headers = response.headers
            assert headers["Access-Control-Allow-Origin"] == "*"
            assert headers["Access-Control-Allow-Methods"] == "GET,OPTIONS,PATCH,DELETE,POST,PUT"
            allowed = {name.lower() for name in headers["Access-Control-Allow-Headers"].split(",")}
            assert allowed >= {
                "authorization",
                "content-type",
                "http-referer",
                "x-title",
                "x-openrouter-title",
                "x-openrouter-categories",
                "x-openrouter-app-visibility",
                "x-stainless-retry-count",
                "idempotency-key",
            }
            assert "*" not in allowed
            assert "x-openrouter-metadata" not in allowed
            assert "Access-Control-Max-Age" not in headers
            assert "Access-Control-Allow-Credentials" not in headers


@pytest.mark.requirement("E4")
def test_scripts_can_read_answers_and_errors(emulator: Emulator, http: requests.Session) -> None:
    key = bearer(emulator.issue_key())
    question = {"messages": [{"role": "user", "content": "Hi"}], "stream": True}
    url = f"{emulator.url}/api/v1"
    with emulator.faults("html_524", path="/api/v1/models"):
        failed = http.get(f"{url}/models", headers=PAGE)
    for response, status in [
        (http.get(f"{url}/key", headers={**PAGE, **key}), 200),
        (http.get(f"{url}/key", headers=PAGE), 401),
        (http.post(f"{url}/auth/keys", json={}, headers=PAGE), 400),
        (http.get(f"{url}/auth/keys", headers=PAGE), 405),
        (http.get(f"{url}/nowhere", headers=PAGE), 404),
        (http.post(f"{url}/chat/completions", json=question, headers={**PAGE, **key}), 200),
        (failed, 524),
    ]:
        with case(response.url, status):
            assert response.status_code == status
            assert response.headers["Access-Control-Allow-Origin"] == "*"
            exposed = response.headers["Access-Control-Expose-Headers"]
            assert exposed == "X-Generation-Id,X-Provider-Name,request-id,cf-ray"


@pytest.mark.requirement("R104")
def test_pages_and_control_api_are_for_no_other_origin(
    emulator: Emulator, http: requests.Session
) -> None:
    for path in ("/auth", "/", "/settings/keys", "/_emulator/requests", "/openapi.json"):
        for method in ("GET", "OPTIONS"):
            with case(method, path):
                response = http.request(method, f"{emulator.url}{path}", headers=PAGE)
                assert "Access-Control-Allow-Origin" not in response.headers


def test_a_preflight_uses_up_no_fault(emulator: Emulator, http: requests.Session) -> None:
    emulator.add_fault(status=500)
    url = f"{emulator.url}/api/v1/key"
    assert http.options(url, headers=PAGE).status_code == 204
    assert http.get(url, headers=PAGE).status_code == 500
