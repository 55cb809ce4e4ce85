"""The requests of our client and the responses of the emulator match OpenRouter's document."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime, timezone
from typing import Any

import pytest
import requests
from callers import OurClient
from cases import case
from openapi_document import differences_in, document, operation
from protocol_steps import (
    CALLBACK_URL,
    CODE_CHALLENGE,
    CODE_VERIFIER,
    PLAIN,
    S256,
    approved_code,
    bearer,
    code_in,
)
from recorder import Exchange, recorded_emulator

from flask_openrouter import OpenRouterClient
from flask_openrouter.emulator import Emulator

QUESTION: dict[str, Any] = {
    "model": "openai/gpt-4o-mini",
    "messages": [{"role": "user", "content": "What is Flask?"}],
}
MOMENT = datetime(2099, 12, 31, 23, 59, 59, tzinfo=timezone.utc)
NEWER = "OpenRouter's SDKs of autumn 2026 refuse a response without it; the document is older"
OBSERVED = "OpenRouter sends it, and its guide shows it"
GUIDE = "in OpenRouter's guide, not in the document"

#: Every difference from the document (of 2026-08-22), with the reason why it is right.
DIFFERENCES = {
    "GET /auth: not an operation": "the consent page is a web page outside of the API",
    "POST /auth: not an operation": "the form of the emulator's own consent page",
    "GET /auth/key: not an operation": "the old name of /key, which some programs still use",
    "GET /auth/keys: not an operation": "the guide documents 405 for other methods than POST",
    "OPTIONS /auth/keys: not an operation": "browsers may exchange codes, after a preflight",
    "GET /models/user: not an operation": "documented, but not in the part that is stored here",
    "POST /auth/keys: no credentials": "there is no key yet; the guide and all SDKs send none",
    "GET /models: no credentials": "the list is public; programs call it without a key",
    "POST /auth/keys/code: header http-referer": GUIDE,
    "POST /auth/keys/code: header x-openrouter-title": GUIDE,
    "POST /auth/keys/code: header x-openrouter-categories": GUIDE,
    "GET /key: header http-referer": GUIDE,
    "GET /key: header x-openrouter-title": GUIDE,
    "GET /key: header x-openrouter-categories": GUIDE,
    "POST /chat/completions: header http-referer": GUIDE,
    "POST /chat/completions: header x-openrouter-title": GUIDE,
    "POST /chat/completions: header x-openrouter-categories": GUIDE,
    "GET /key 200: member data.allowed_data_regions": NEWER,
    "GET /key 200: member data.free_model_daily_requests": NEWER,
    "GET /key 200: member data.organization_id": NEWER,
    "GET /key 200: member data.workspace_id": NEWER,
    "GET /key 200: member data.budgets": NEWER,
    "GET /key 200: member data.effective_budget": NEWER,
    "POST /chat/completions 200: member provider": OBSERVED,
    "POST /chat/completions 200: member choices[].native_finish_reason": OBSERVED,
    "POST /chat/completions 200: member data.provider": OBSERVED,
    "POST /chat/completions 200: member data.choices[].native_finish_reason": OBSERVED,
}


@pytest.fixture(scope="module")
def conversation() -> Iterator[list[Exchange]]:
    """Every request that our client can make, and every response that the emulator can send."""
    with recorded_emulator() as (emulator, exchanges), requests.Session() as http:
        http.trust_env = False
        _log_in(emulator)
        _create_codes(emulator)
        _use_keys(emulator)
        _chat(emulator)
        _make_other_requests(emulator, http)
        _fail_as_documented(emulator, http)
        yield exchanges


def _log_in(emulator: Emulator) -> None:
    client = OpenRouterClient(emulator.url)
    url = client.authorization_url(CALLBACK_URL, CODE_CHALLENGE, limit=0, key_label="A key")
    # By HTTP, as a browser does: emulator.approve() makes no HTTP requests.
    with requests.Session() as browser:
        browser.trust_env = False
        page = browser.get(url)
        consent = page.text.partition('name="consent" value="')[2].partition('"')[0]
        form = {"consent": consent, "decision": "approve"}
        response = browser.post(f"{emulator.url}/auth", form, allow_redirects=False)
    client.exchange_code(code_in(response.headers["Location"]), CODE_VERIFIER)
    client.exchange_code(approved_code(emulator, **PLAIN), CODE_VERIFIER, "plain")
    client.exchange_code(approved_code(emulator))
    ours = OurClient()
    ours.call("exchange", emulator.url, code="unknown")
    code = approved_code(emulator, **S256)
    ours.call("exchange", emulator.url, code=code, code_verifier="w" * 43)
    with emulator.configured(openrouter_user_id=None):
        client.exchange_code(approved_code(emulator))


def _create_codes(emulator: Emulator) -> None:
    ours, api_key = OurClient(), emulator.issue_key()
    everything = {
        "callback_url": CALLBACK_URL,
        **S256,
        "expires_at": "2099-12-31T23:59:59Z",
        "key_label": "A key",
        "limit": 0.5,
        "usage_limit_type": "weekly",
        "workspace_id": "12345678-1234-4234-8234-123456789012",
    }
    assert ours.call("create_code", emulator.url, api_key, **everything).error is None
    assert ours.call("create_code", emulator.url, api_key, callback_url=CALLBACK_URL).value
    ours.call("create_code", emulator.url, api_key, callback_url="https://app.example/")
    ours.call("create_code", emulator.url, "sk-or-v1-unknown", callback_url=CALLBACK_URL)
    for setting in ("management_keys_only", "create_code_conflict"):
        with emulator.configured(**{setting: True}):
            ours.call("create_code", emulator.url, api_key, callback_url=CALLBACK_URL)


def _use_keys(emulator: Emulator) -> None:
    ours = OurClient()
    for api_key in (emulator.issue_key(), emulator.issue_key(limit=2, usage=1)):
        assert ours.call("key", emulator.url, api_key).value
    client = OpenRouterClient(emulator.url)
    created = client.create_auth_code(
        emulator.issue_key(), CALLBACK_URL, expires_at=MOMENT, limit=1, usage_limit_type="daily"
    )
    api_key = client.exchange_code(created.code).api_key
    assert client.get_key_info(api_key).expires_at == MOMENT
    ours.call("key", emulator.url, "sk-or-v1-unknown")


def _chat(emulator: Emulator) -> None:
    ours, api_key = OurClient(), emulator.issue_key()
    spent = emulator.issue_key(limit=1, usage=1)
    assert ours.call("chat", emulator.url, api_key, **QUESTION).value
    ours.call("chat", emulator.url, api_key, **{**QUESTION, "model": "no/such"})
    ours.call("chat", emulator.url, spent, **QUESTION)
    with emulator.configured(spent_limit_status=402):
        ours.call("chat", emulator.url, spent, **QUESTION)
    session = OpenRouterClient(emulator.url).api_session(api_key)
    streamed = {**QUESTION, "stream": True}
    assert session.post("chat/completions", json=streamed).ok
    with emulator.faults(status=502, mid_stream=True):
        assert session.post("chat/completions", json=streamed).ok


def _make_other_requests(emulator: Emulator, http: requests.Session) -> None:
    api_key = emulator.issue_key()
    for path in ("auth/key", "models/user", "credits", "auth/keys"):
        http.get(f"{emulator.url}/api/v1/{path}", headers=bearer(api_key))
    for path in ("key", "credits", "models?offset=1&limit=2"):
        http.get(f"{emulator.url}/api/v1/{path}")
    http.options(f"{emulator.url}/api/v1/auth/keys")


def _fail_as_documented(emulator: Emulator, http: requests.Session) -> None:
    headers = bearer(emulator.issue_key())
    for path, methods in document()["paths"].items():
        for method, described in methods.items():
            for status in sorted(set(described["responses"]) - {"200"}):
                with emulator.faults(status=int(status)):
                    http.request(method, f"{emulator.url}/api/v1{path}", json={}, headers=headers)


def test_the_differences_from_the_document_are_exactly_those_listed(
    conversation: list[Exchange],
) -> None:
    assert set(differences_in(conversation)) == set(DIFFERENCES)


def test_every_documented_response_was_seen(conversation: list[Exchange]) -> None:
    seen = {(e.method.lower(), e.path.removeprefix("/api/v1"), str(e.status)) for e in conversation}
    documented = {
        (method, path, status)
        for path, methods in document()["paths"].items()
        for method, described in methods.items()
        for status in described["responses"]
    }
    assert documented - seen == set()


def test_every_documented_parameter_of_the_oauth_calls_was_sent(
    conversation: list[Exchange],
) -> None:
    """Except ``spawn_*``, the telemetry of an OpenRouter program."""
    for path in ("/auth/keys", "/auth/keys/code"):
        described = operation("POST", path)
        assert described is not None
        schema = described["requestBody"]["content"]["application/json"]["schema"]
        sent = b"".join(e.body for e in conversation if e.path == f"/api/v1{path}").decode()
        missing = {name for name in schema["properties"] if f'"{name}"' not in sent}
        assert missing == ({"spawn_agent", "spawn_cloud"} if path.endswith("code") else set())


def test_a_violation_would_be_found(conversation: list[Exchange]) -> None:
    for path, changes, difference in [
        ("/auth/keys", {"answer": b'{"key":"k"}'}, "'user_id' is a required property"),
        ("/auth/keys", {"answer": b'{"key":1,"user_id":null}'}, "key: 1 is not of type"),
        ("/auth/keys", {"answer": b'{"key":"k","user_id":null,"x":1,"y":2}'}, "member y"),
        ("/auth/keys", {"body": b'{"code":"c","code_challenge_method":"S512"}'}, "S512"),
        ("/auth/keys", {"body": b'{"code":"c","verifier":"v"}'}, "body member verifier"),
        ("/auth/keys", {"status": 418}, "POST /auth/keys 418: not a response"),
        ("/auth/keys/code", {"body": b'{"callback_url":"no url"}'}, "is not a 'uri'"),
        (
            "/auth/keys/code",
            {"body": b'{"callback_url":"https://a.example","expires_at":"2099-12-31T23:59Z"}'},
            "is not a 'date-time'",
        ),
        ("/auth/keys/code", {"headers": {}}, "POST /auth/keys/code: no credentials"),
        ("/auth/keys/code", {"query": {"x": "1"}}, "query x"),
    ]:
        with case(path, difference):
            valid = next(e for e in conversation if e.path == f"/api/v1{path}" and e.status == 200)
            found = differences_in([replace(valid, **changes)])
            assert any(difference in name for name in found), sorted(found)
            assert not any(difference in name for name in differences_in([valid]))
