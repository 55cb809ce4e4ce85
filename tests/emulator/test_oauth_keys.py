"""Requests with a key: ``/key``, ``/auth/keys/code``, ``/credits``, ``/models``."""

from __future__ import annotations

from typing import Any

import pytest
import requests
from cases import case
from openrouter_schemas import assert_documented
from protocol_steps import CODE_VERIFIER, S256, bearer, error_of, exchange

from flask_openrouter.emulator import Emulator, EmulatorConfig, run_in_thread

CALLBACK_URL = "http://localhost:3000/callback"


def get(
    http: requests.Session, emulator: Emulator, path: str, api_key: str | None = None
) -> requests.Response:
    headers = {} if api_key is None else bearer(api_key)
    return http.get(f"{emulator.url}/api/v1{path}", headers=headers)


def create_code(
    http: requests.Session, emulator: Emulator, api_key: str, **body: Any
) -> requests.Response:
    return http.post(f"{emulator.url}/api/v1/auth/keys/code", json=body, headers=bearer(api_key))


@pytest.mark.parametrize("path", ["/key", "/auth/key"])
def test_a_key_describes_itself(emulator: Emulator, http: requests.Session, path: str) -> None:
    api_key = emulator.issue_key(limit=100, usage=25.5)
    response = get(http, emulator, path, api_key)
    assert_documented(response.json(), "/key", "get", 200)
    data = response.json()["data"]
    assert data["label"] == f"{api_key[:12]}...{api_key[-3:]}"
    assert (data["limit"], data["usage"], data["limit_remaining"]) == (100, 25.5, 74.5)
    assert data["creator_user_id"] == "user_emulated"
    # The newest official SDKs require these. The stored document does not have them yet.
    assert {
        "allowed_data_regions",
        "free_model_daily_requests",
        "organization_id",
        "workspace_id",
        "budgets",
        "effective_budget",
    } <= data.keys()


def test_a_key_without_limit_has_no_remaining_limit(
    emulator: Emulator, http: requests.Session
) -> None:
    data = get(http, emulator, "/key", emulator.issue_key()).json()["data"]
    assert data["limit"] is None
    assert data["limit_remaining"] is None


def test_an_overspent_key_has_nothing_left(emulator: Emulator, http: requests.Session) -> None:
    data = get(http, emulator, "/key", emulator.issue_key(limit=1, usage=3)).json()["data"]
    assert data["limit_remaining"] == 0


def test_without_a_live_key_the_response_is_401(emulator: Emulator, http: requests.Session) -> None:
    for authorization, message in [
        (None, "Missing Authentication header"),
        ("", "Missing Authentication header"),
        ("Bearer", "Missing Authentication header"),
        ("Bearer ", "Missing Authentication header"),
        ("Basic dXNlcjpwYXNz", "Missing Authentication header"),
        ("Bearer sk-or-v1-unknown", "User not found."),
    ]:
        for path in ["/key", "/auth/key", "/models/user", "/credits"]:
            with case(authorization, message, path):
                response = http.get(
                    f"{emulator.url}/api/v1{path}", headers={"Authorization": authorization}
                )
                assert error_of(response) == (401, message)
                assert_documented(response.json(), "/key", "get", 401)


def test_the_bearer_scheme_is_case_insensitive(emulator: Emulator, http: requests.Session) -> None:
    headers = {"Authorization": f"bearer {emulator.issue_key()}"}
    assert http.get(f"{emulator.url}/api/v1/key", headers=headers).status_code == 200


def test_a_revoked_key_is_unknown(emulator: Emulator, http: requests.Session) -> None:
    api_key = emulator.issue_key()
    emulator.revoke(api_key)
    assert error_of(get(http, emulator, "/key", api_key)) == (401, "User not found.")


@pytest.mark.requirement("E9")
def test_the_balance_is_for_every_key_or_for_management_keys(
    emulator: Emulator, http: requests.Session
) -> None:
    api_key = emulator.issue_key(usage=2.5)
    live = get(http, emulator, "/credits", api_key)
    assert live.json() == {"data": {"total_credits": 1000, "total_usage": 2.5}}
    assert_documented(live.json(), "/credits", "get", 200)
    with emulator.configured(credits_style="documented"):
        response = get(http, emulator, "/credits", api_key)
    assert error_of(response) == (403, "Only management keys can perform this operation")
    assert_documented(response.json(), "/credits", "get", 403)


def test_models_are_listed_with_and_without_a_key(
    emulator: Emulator, http: requests.Session
) -> None:
    public = get(http, emulator, "/models").json()
    assert_documented(public, "/models", "get", 200)
    assert public["total_count"] == len(public["data"])
    assert public["links"] == {"next": None}
    assert get(http, emulator, "/models/user", emulator.issue_key()).json() == public
    ids = [model["id"] for model in public["data"]]
    assert "openai/gpt-4o-mini" in ids
    assert any(model_id.endswith(":free") for model_id in ids)


def test_models_come_in_pages(emulator: Emulator, http: requests.Session) -> None:
    ids, path = [], "/models?offset=0&limit=3"
    while path:
        page = get(http, emulator, path).json()
        ids += [model["id"] for model in page["data"]]
        path = (page["links"]["next"] or "").removeprefix("/api/v1")
    assert len(ids) == len(set(ids)) == page["total_count"]
    for beyond in ("999", "2362849", "9" * 100):
        page = get(http, emulator, f"/models?offset={beyond}&limit={beyond}").json()
        assert (page["data"], page["links"]["next"]) == ([], None)


def test_offset_and_limit_must_be_whole_numbers(emulator: Emulator, http: requests.Session) -> None:
    for query in ["offset=-1", "offset=x", "limit=0", "limit=\u0665", "limit="]:
        with case(query):
            response = get(http, emulator, f"/models?{query}")
            assert error_of(response) == (400, "Invalid request parameters")


def test_a_key_creates_codes_that_can_be_exchanged(
    emulator: Emulator, http: requests.Session
) -> None:
    api_key = emulator.issue_key(openrouter_user_id="user_creator")
    response = create_code(
        http,
        emulator,
        api_key,
        callback_url=CALLBACK_URL,
        limit=2,
        key_label="second",
        usage_limit_type="monthly",
        expires_at="2099-12-31T23:59:59.5+02:00",
        workspace_id="0B5F0C9E-2C6E-4F2A-9E1B-0D9A2D6B7C11",
        **S256,
    )
    assert_documented(response.json(), "/auth/keys/code", "post", 200)
    issued = exchange(
        http, emulator, code=response.json()["data"]["id"], code_verifier=CODE_VERIFIER
    )
    assert issued.json()["user_id"] == "user_creator"
    data = get(http, emulator, "/key", issued.json()["key"]).json()["data"]
    assert (data["limit"], data["limit_reset"]) == (2, "monthly")
    assert data["expires_at"] == "2099-12-31T21:59:59Z"
    assert data["workspace_id"] == "0b5f0c9e-2c6e-4f2a-9e1b-0d9a2d6b7c11"


def test_the_app_is_known_by_its_callback_host(emulator: Emulator, http: requests.Session) -> None:
    api_key = emulator.issue_key()
    urls = [CALLBACK_URL, f"{CALLBACK_URL}/other", "http://localhost:4000/"]
    first, same, other = (
        create_code(http, emulator, api_key, callback_url=url).json()["data"]["app_id"]
        for url in urls
    )
    assert first == same != other


def test_bad_requests_for_a_code_are_refused(emulator: Emulator, http: requests.Session) -> None:
    for body in [
        {},
        {"callback_url": None},
        {"callback_url": 5},
        {"callback_url": "http://evil.example/"},
        {"callback_url": "http://192.168.1.5/"},
        {"callback_url": "http://[::1].evil.example/"},
        {"callback_url": "https://[::1].evil.example/"},
        {"callback_url": "https://user@app.example/"},
        {"callback_url": "https://app.example/#fragment"},
        {"callback_url": "https://app..example/"},
        {"callback_url": "https:///callback"},
        {"callback_url": "myapp://callback"},
        {"callback_url": CALLBACK_URL, "limit": -1},
        {"callback_url": CALLBACK_URL, "limit": "5"},
        {"callback_url": CALLBACK_URL, "limit": None},
        {"callback_url": CALLBACK_URL, "limit": True},
        {"callback_url": CALLBACK_URL, "limit": 10**400},
        {"callback_url": CALLBACK_URL, "limit": 1e99},
        {"callback_url": CALLBACK_URL, "key_label": "\ud83d"},
        {"callback_url": CALLBACK_URL, "key_label": "x" * 101},
        {"callback_url": CALLBACK_URL, "key_label": 5},
        {"callback_url": CALLBACK_URL, "usage_limit_type": "yearly"},
        {"callback_url": CALLBACK_URL, "usage_limit_type": None},
        {"callback_url": CALLBACK_URL, "expires_at": "2099-12-31"},
        {"callback_url": CALLBACK_URL, "expires_at": "2099-12-31T23:59Z"},
        {"callback_url": CALLBACK_URL, "expires_at": "2099-12-31T23:59:59"},
        {"callback_url": CALLBACK_URL, "expires_at": "2099-02-31T23:59:59Z"},
        {"callback_url": CALLBACK_URL, "expires_at": "2001-01-01T00:00:00Z"},
        {"callback_url": CALLBACK_URL, "expires_at": "9999-12-31T23:59:59-12:00"},
        {"callback_url": CALLBACK_URL, "expires_at": 5},
        {"callback_url": CALLBACK_URL, "workspace_id": "not-a-uuid"},
        {"callback_url": CALLBACK_URL, "workspace_id": "{12345678-1234-4234-8234-123456789012}"},
        {"callback_url": CALLBACK_URL, "workspace_id": "12345678123442348234123456789012"},
        {"callback_url": CALLBACK_URL, "workspace_id": None},
        {"callback_url": CALLBACK_URL, "code_challenge_method": "S256"},
        {"callback_url": CALLBACK_URL, "code_challenge": "short"},
    ]:
        with case(body):
            response = create_code(http, emulator, emulator.issue_key(), **body)
            status, message = error_of(response)
            assert status == 400
            assert message.startswith("Invalid request parameters: ")
            assert_documented(response.json(), "/auth/keys/code", "post", 400)


@pytest.mark.requirement("E9")
def test_a_code_can_be_created_for_every_callback_that_openrouter_accepts(
    emulator: Emulator, http: requests.Session
) -> None:
    for callback_url in [
        "https://myapp.com/auth/callback",
        "https://app.example:8443/callback?state=x",
        "https://127.0.0.1.nip.io/",
        "https://203.0.113.5/callback",
        "https://[2001:db8::1]:8443/callback",
        "https://MYAPP.example./",
        "http://localhost:1/",
        "http://127.0.0.1:65535/callback",
    ]:
        with case(callback_url):
            created = create_code(http, emulator, emulator.issue_key(), callback_url=callback_url)
            code = created.json()["data"]["id"]
            assert exchange(http, emulator, code=code).status_code == 200


def test_an_expiry_of_null_means_no_expiry(emulator: Emulator, http: requests.Session) -> None:
    api_key = emulator.issue_key()
    response = create_code(http, emulator, api_key, callback_url=CALLBACK_URL, expires_at=None)
    issued = exchange(http, emulator, code=response.json()["data"]["id"]).json()["key"]
    assert get(http, emulator, "/key", issued).json()["data"]["expires_at"] is None


def test_creating_a_code_needs_a_key(emulator: Emulator, http: requests.Session) -> None:
    url = f"{emulator.url}/api/v1/auth/keys/code"
    response = http.post(url, json={"callback_url": CALLBACK_URL})
    assert error_of(response) == (401, "Missing Authentication header")


def test_creating_a_code_can_require_a_management_key(
    emulator: Emulator, http: requests.Session
) -> None:
    with emulator.configured(management_keys_only=True):
        response = create_code(http, emulator, emulator.issue_key(), callback_url=CALLBACK_URL)
    assert error_of(response) == (403, "Only management keys can perform this operation")
    assert_documented(response.json(), "/auth/keys/code", "post", 403)


def test_creating_a_code_can_conflict(emulator: Emulator, http: requests.Session) -> None:
    with emulator.configured(create_code_conflict=True):
        response = create_code(http, emulator, emulator.issue_key(), callback_url=CALLBACK_URL)
    assert error_of(response) == (409, "Resource conflict. Please try again later.")
    assert_documented(response.json(), "/auth/keys/code", "post", 409)


@pytest.mark.requirement("R110")
def test_a_key_dies_when_it_expires(http: requests.Session) -> None:
    with run_in_thread(EmulatorConfig(clock=lambda: 1_800_000_000.0)) as emulator:
        created = create_code(
            http,
            emulator,
            emulator.issue_key(),
            callback_url=CALLBACK_URL,
            expires_at="2027-01-15T08:01:00Z",
        )
        assert created.json()["data"]["created_at"] == "2027-01-15T08:00:00Z"
        issued = exchange(http, emulator, code=created.json()["data"]["id"]).json()["key"]
        emulator.advance_clock(59)
        assert get(http, emulator, "/key", issued).status_code == 200
        emulator.advance_clock(1)
        assert error_of(get(http, emulator, "/key", issued)) == (401, "User not found.")


def test_a_limit_is_reset_on_its_interval(http: requests.Session) -> None:
    """The clock starts on Friday, 15 January 2027."""
    for interval, days, left in [
        ("daily", 0, 1.0),
        ("daily", 1, 5.0),
        ("weekly", 1, 1.0),  # Friday to Saturday
        ("weekly", 3, 5.0),
        ("monthly", 15, 1.0),
        ("monthly", 17, 5.0),
    ]:
        with case(interval, days, left):
            with run_in_thread(EmulatorConfig(clock=lambda: 1_800_000_000.0)) as emulator:
                created = create_code(
                    http,
                    emulator,
                    emulator.issue_key(),
                    callback_url=CALLBACK_URL,
                    limit=5,
                    usage_limit_type=interval,
                )
                issued = exchange(http, emulator, code=created.json()["data"]["id"]).json()["key"]
                emulator.set_key(issued, usage=4)
                emulator.advance_clock(days * 86_400)
                data = get(http, emulator, "/key", issued).json()["data"]
            assert data["limit_remaining"] == left
            assert data["usage"] == 4
