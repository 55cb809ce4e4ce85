"""The handle in the process and the control API over HTTP do the same."""

from __future__ import annotations

import hashlib
import json
import time

import pytest
import requests
from cases import case
from flask import Request
from protocol_steps import (
    CODE_VERIFIER,
    PLAIN,
    S256,
    approved_code,
    authorization_url,
    bearer,
    control,
    error_of,
    exchange,
)

from flask_openrouter.emulator import Emulator, EmulatorConfig
from flask_openrouter.emulator.journal import MAX_RECORDS, Journal

KEY_PATH = "/api/v1/key"


def sha256(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def status_of(http: requests.Session, emulator: Emulator, api_key: str) -> int:
    return http.get(f"{emulator.url}{KEY_PATH}", headers=bearer(api_key)).status_code


# -- recorded requests ----------------------------------------------------------------------------


def test_requests_are_recorded_without_their_secrets(
    emulator: Emulator, http: requests.Session
) -> None:
    code = approved_code(emulator, **PLAIN)
    http.cookies["session"] = "cookie-secret"
    response = exchange(http, emulator, code=code, code_verifier=CODE_VERIFIER)
    api_key = response.json()["key"]
    status_of(http, emulator, api_key)
    http.get(f"{emulator.url}/{api_key}?key={api_key}&note={api_key}")
    listed = control(http, emulator, "GET", "/requests").text
    for secret in (code, CODE_VERIFIER, api_key, "cookie-secret"):
        assert secret not in listed
        assert secret not in repr(emulator.requests)
    record = next(r for r in emulator.requests if r.path == "/api/v1/auth/keys")
    assert record.method == "POST"
    assert record.status == 200
    assert record.body == {
        "code": f"sha256:{sha256(code)}",
        "code_verifier": f"sha256:{sha256(CODE_VERIFIER)}",
    }
    assert record.headers["cookie"] == "[redacted]"
    assert record.api_key_hash is None
    called = next(r for r in emulator.requests if r.path == KEY_PATH)
    assert called.api_key_hash == sha256(api_key)
    assert called.headers["authorization"] == "[redacted]"


def test_the_control_api_lists_the_same_records(emulator: Emulator, http: requests.Session) -> None:
    emulator.approve(authorization_url(emulator, **S256))
    http.post(f"{emulator.url}/nowhere", json=["a list", 5, {"key": "secret"}])
    listed = control(http, emulator, "GET", "/requests").json()["data"]
    assert listed == [record.as_json() for record in emulator.requests]
    assert [r["path"] for r in listed] == ["/auth", "/auth", "/nowhere"]
    assert listed[0]["query"]["code_challenge"] == S256["code_challenge"]
    assert listed[1]["body"]["decision"] == "approve"
    assert listed[2]["body"] == ["a list", 5, {"key": f"sha256:{sha256('secret')}"}]
    assert control(http, emulator, "DELETE", "/requests").json() == {"ok": True}
    assert emulator.requests == []


def test_requests_are_counted_by_method_and_path(
    emulator: Emulator, http: requests.Session
) -> None:
    for _ in range(3):
        exchange(http, emulator, code="unknown")
    http.get(f"{emulator.url}/api/v1/auth/keys")
    assert emulator.count("POST", "/api/v1/auth/keys") == 3
    assert emulator.count("GET", "/api/v1/auth/keys") == 1
    assert emulator.count("GET", "/_emulator/requests") == 0


def test_only_the_last_records_are_kept() -> None:
    journal, request = Journal(), Request.from_values("/nowhere")
    for _ in range(MAX_RECORDS + 10):
        journal.record(request, api_key=None, now=0.0, with_body=True)
    records = journal.records()
    assert len(records) == MAX_RECORDS
    assert records[-1].number == MAX_RECORDS + 10


def test_dropped_records_do_not_come_back(emulator: Emulator, http: requests.Session) -> None:
    """A request in progress while the journal is cleared is not recorded again."""
    with emulator.configured(clock=lambda: [emulator.journal.clear(), 0.0][1]):
        http.get(f"{emulator.url}{KEY_PATH}", headers=bearer("unknown"))
    assert emulator.requests == []


# -- keys, clock, settings ------------------------------------------------------------------------


def test_keys_can_be_issued_changed_and_revoked_over_http(
    emulator: Emulator, http: requests.Session
) -> None:
    issued = control(
        http, emulator, "POST", "/keys", openrouter_user_id=None, limit=10, usage=1
    ).json()["key"]
    (listed,) = control(http, emulator, "GET", "/keys").json()["data"]
    assert listed["hash"] == sha256(issued)
    assert issued not in json.dumps(listed)
    assert (listed["limit_remaining"], listed["openrouter_user_id"]) == (9, None)
    path = f"/keys/{listed['hash']}"
    control(http, emulator, "PATCH", path, limit=None, usage=2.5)
    (listed,) = control(http, emulator, "GET", "/keys").json()["data"]
    assert (listed["limit"], listed["usage"]) == (None, 2.5)
    assert control(http, emulator, "DELETE", path).status_code == 200
    assert status_of(http, emulator, issued) == 401


def test_only_the_given_values_of_a_key_change(emulator: Emulator) -> None:
    api_key = emulator.issue_key(limit=10, usage=1)
    emulator.set_key(api_key, limit=20)
    emulator.set_key(api_key)
    (key,) = emulator.ledger.keys(emulator.now())
    assert (key["limit"], key["usage"]) == (20, 1)


def test_unknown_keys_are_reported(emulator: Emulator, http: requests.Session) -> None:
    for method in ("PATCH", "DELETE"):
        assert error_of(control(http, emulator, method, "/keys/unknown"))[0] == 404
    with pytest.raises(LookupError):
        emulator.revoke("unknown")
    with pytest.raises(LookupError):
        emulator.set_key("unknown", limit=1)


def test_bad_values_are_refused(emulator: Emulator, http: requests.Session) -> None:
    for path, body in [
        ("/keys", {"limit": -1}),
        ("/keys", {"usage": "1"}),
        ("/keys", {"nonsense": 1}),
        ("/clock", {"advance": -1}),
        ("/clock", {"advance": "1"}),
        ("/clock", {"advance": 1e300}),
        ("/clock", {"back": 1}),
    ]:
        with case(path, body):
            assert error_of(control(http, emulator, "POST", path, **body))[0] == 400


def test_the_clock_moves_over_http(emulator: Emulator, http: requests.Session) -> None:
    with emulator.configured(clock=lambda: 1_000.0):
        assert control(http, emulator, "POST", "/clock", advance=60).json() == {"now": 1_060.0}
        assert control(http, emulator, "POST", "/clock").json() == {"now": 1_060.0}
        assert control(http, emulator, "GET", "/clock").json() == {"now": 1_060.0}


def test_settings_change_over_http(emulator: Emulator, http: requests.Session) -> None:
    response = control(http, emulator, "PATCH", "/config", deny_style="error", code_max_age=5)
    assert response.json()["deny_style"] == "error"
    assert control(http, emulator, "GET", "/config").json() == response.json()
    assert emulator.config.code_max_age == 5
    assert "clock" not in response.json()
    for bad in ({"deny_style": "loud"}, {"nonsense": 1}, {"clock": 1}):
        assert error_of(control(http, emulator, "PATCH", "/config", **bad))[0] == 400
    with pytest.raises(ValueError, match="no setting nonsense"):
        emulator.configure(nonsense=1)


def test_what_is_configured_inside_a_block_stays(emulator: Emulator) -> None:
    with emulator.configured(deny_style="error", code_max_age=5):
        emulator.configure(lenient_pkce=True, code_max_age=7)
        with emulator.configured(deny_style="bare", word_delay=1):
            assert emulator.config.deny_style == "bare"
        assert emulator.config.deny_style == "error"
    assert emulator.config == EmulatorConfig(lenient_pkce=True, code_max_age=7)


def test_a_reset_inside_a_block_stays(emulator: Emulator) -> None:
    emulator.configure(code_max_age=7)
    with emulator.configured(deny_style="error"):
        emulator.reset()
    assert emulator.config == EmulatorConfig()


def test_settings_end_with_their_block_even_if_it_fails(emulator: Emulator) -> None:
    with pytest.raises(RuntimeError), emulator.configured(echo_state=False):
        raise RuntimeError
    assert emulator.config == EmulatorConfig()


@pytest.mark.parametrize("interface", ["handle", "http"])
def test_reset_restores_the_initial_state(
    emulator: Emulator, http: requests.Session, interface: str
) -> None:
    api_key, code = emulator.issue_key(), approved_code(emulator)
    emulator.add_fault(status=500, times=None)
    emulator.configure(bad_code_style="documented", clock=lambda: 0.0)
    emulator.advance_clock(60)
    if interface == "http":
        assert control(http, emulator, "POST", "/reset").json() == {"ok": True}
    else:
        emulator.reset()
    assert emulator.requests == []
    assert emulator.config == EmulatorConfig()
    assert abs(emulator.now() - time.time()) < 30
    assert status_of(http, emulator, api_key) == 401
    assert error_of(exchange(http, emulator, code=code)) == (400, "Invalid code")


def test_no_web_page_can_control_an_emulator(emulator: Emulator, http: requests.Session) -> None:
    for headers in [
        {"Origin": "https://evil.example"},
        {"Origin": "http://127.0.0.1"},
        {"Origin": "null"},
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site"},
    ]:
        with case(headers):
            response = http.get(f"{emulator.url}/_emulator/keys", headers=headers)
            assert error_of(response)[0] == 403
            own = {"Origin": emulator.url, "Sec-Fetch-Site": "same-origin"}
            response = http.get(f"{emulator.url}/_emulator/keys", headers=own)
            assert response.status_code == 200


def test_the_control_api_takes_json_only(emulator: Emulator, http: requests.Session) -> None:
    """Forms need no preflight, so a form of another page must be refused."""
    response = http.post(
        f"{emulator.url}/_emulator/keys",
        data='{"limit": 1}',
        headers={"Content-Type": "text/plain"},
    )
    assert error_of(response)[0] == 400
    assert error_of(http.get(f"{emulator.url}/_emulator/nowhere"))[0] == 404
