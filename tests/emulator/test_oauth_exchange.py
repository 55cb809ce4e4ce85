"""``POST /api/v1/auth/keys``: exchange a code for a key, once."""

from __future__ import annotations

import json
import re
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
import requests
from cases import case
from openrouter_schemas import assert_documented
from protocol_steps import (
    CODE_CHALLENGE,
    CODE_VERIFIER,
    PLAIN,
    S256,
    approved_code,
    authorization_url,
    bearer,
    error_of,
    exchange,
)

from flask_openrouter.emulator import KEY_MARKER, Emulator

OTHER_VERIFIER = "w" * 43


@pytest.mark.requirement("R106")
def test_rfc7636_appendix_b_is_exchanged(emulator: Emulator, http: requests.Session) -> None:
    code = approved_code(emulator, **S256)
    response = exchange(
        http, emulator, code=code, code_verifier=CODE_VERIFIER, code_challenge_method="S256"
    )
    assert response.status_code == 200
    assert_documented(response.json(), "/auth/keys", "post", 200)
    assert response.json()["user_id"] == "user_emulated"
    assert response.headers["Content-Type"] == "application/json"


@pytest.mark.requirement("R105")
def test_keys_look_real_to_clients_and_fake_to_people(
    emulator: Emulator, http: requests.Session
) -> None:
    answers = [exchange(http, emulator, code=approved_code(emulator)) for _ in range(2)]
    keys = [response.json()["key"] for response in answers]
    for api_key in keys:
        assert re.fullmatch(r"sk-or-v1-[a-f0-9]{64}", api_key)
        assert api_key.startswith(f"sk-or-v1-{KEY_MARKER}")
    assert keys[0] != keys[1]


def test_the_account_may_have_no_id(emulator: Emulator, http: requests.Session) -> None:
    with emulator.configured(openrouter_user_id=None):
        response = exchange(http, emulator, code=approved_code(emulator))
    assert response.json()["user_id"] is None
    assert_documented(response.json(), "/auth/keys", "post", 200)


@pytest.mark.requirement("R110")
def test_the_limit_of_the_consent_page_is_the_limit_of_the_key(
    emulator: Emulator, http: requests.Session
) -> None:
    for asked, limit in (({"limit": "0"}, 0), ({"limit": "2.5"}, 2.5), ({}, None)):
        api_key = exchange(http, emulator, code=approved_code(emulator, **asked)).json()["key"]
        info = http.get(f"{emulator.url}/api/v1/key", headers=bearer(api_key)).json()
        assert info["data"]["limit"] == limit


def test_every_documented_exchange_works(emulator: Emulator, http: requests.Session) -> None:
    for asked, sent in [
        (S256, {"code_verifier": CODE_VERIFIER}),
        (S256, {"code_verifier": CODE_VERIFIER, "code_challenge_method": None}),
        (PLAIN, {"code_verifier": CODE_VERIFIER}),
        (PLAIN, {"code_verifier": CODE_VERIFIER, "code_challenge_method": "plain"}),
        # RFC 7636 section 4.3: no method means plain.
        ({"code_challenge": CODE_VERIFIER}, {"code_verifier": CODE_VERIFIER}),
        ({}, {}),
        ({}, {"code_challenge_method": None}),
    ]:
        with case(asked, sent):
            response = exchange(http, emulator, code=approved_code(emulator, **asked), **sent)
            assert response.status_code == 200


@pytest.mark.requirement("R106")
def test_a_wrong_verifier_or_method_is_refused_and_spends_the_code(
    emulator: Emulator, http: requests.Session
) -> None:
    for asked, sent, error in [
        (S256, {"code_verifier": OTHER_VERIFIER}, (403, "Invalid code or code_verifier")),
        (S256, {"code_verifier": CODE_CHALLENGE}, (403, "Invalid code or code_verifier")),
        (S256, {"code_verifier": ""}, (403, "Invalid code or code_verifier")),
        (S256, {"code_verifier": CODE_VERIFIER + "\n"}, (403, "Invalid code or code_verifier")),
        (S256, {"code_verifier": "\u00e9" * 43}, (403, "Invalid code or code_verifier")),
        (S256, {}, (403, "Invalid code or code_verifier")),
        (PLAIN, {"code_verifier": OTHER_VERIFIER}, (403, "Invalid code or code_verifier")),
        (
            S256,
            {"code_verifier": CODE_VERIFIER, "code_challenge_method": "plain"},
            (400, "Invalid code_challenge_method"),
        ),
        (
            PLAIN,
            {"code_verifier": CODE_VERIFIER, "code_challenge_method": "S256"},
            (400, "Invalid code_challenge_method"),
        ),
    ]:
        with case(asked, sent, error):
            code = approved_code(emulator, **asked)
            response = exchange(http, emulator, code=code, **sent)
            assert error_of(response) == error
            assert_documented(response.json(), "/auth/keys", "post", response.status_code)
            again = exchange(http, emulator, code=code, code_verifier=CODE_VERIFIER)
            assert error_of(again) == (400, "Invalid code")


@pytest.mark.requirement("R106")
def test_a_verifier_for_a_code_without_challenge_is_a_downgrade(
    emulator: Emulator, http: requests.Session
) -> None:
    for sent in [{"code_verifier": CODE_VERIFIER}, {"code_challenge_method": "S256"}]:
        with case(sent):
            refused = exchange(http, emulator, code=approved_code(emulator), **sent)
            assert error_of(refused) == (400, "Invalid code_challenge_method")
            with emulator.configured(lenient_pkce=True):
                response = exchange(http, emulator, code=approved_code(emulator), **sent)
                assert response.status_code == 200
                wrong = approved_code(emulator, **S256)
                assert (
                    exchange(http, emulator, code=wrong, code_verifier="w" * 43).status_code == 403
                )


@pytest.mark.requirement("R106")
def test_a_code_works_once(emulator: Emulator, http: requests.Session) -> None:
    code = approved_code(emulator)
    assert exchange(http, emulator, code=code).status_code == 200
    assert error_of(exchange(http, emulator, code=code)) == (400, "Invalid code")


def test_unknown_codes_all_get_the_same_error(emulator: Emulator, http: requests.Session) -> None:
    for code in ("unknown", "auth_code_" + "x" * 32, "\u00e9", "x" * 5000):
        sent = {"code": code, "code_challenge_method": "S256"}
        assert error_of(exchange(http, emulator, **sent)) == (400, "Invalid code")
        with emulator.configured(bad_code_style="documented"):
            documented = exchange(http, emulator, **sent)
        assert error_of(documented) == (403, "Invalid code or code_verifier")


@pytest.mark.requirement("R106")
def test_a_code_lives_ten_minutes(emulator: Emulator, http: requests.Session) -> None:
    emulator.configure(clock=lambda: 1_800_000_000.0)
    code = approved_code(emulator)
    emulator.advance_clock(599)
    assert exchange(http, emulator, code=code).status_code == 200
    code = approved_code(emulator)
    emulator.advance_clock(600)
    response = exchange(http, emulator, code=code)
    assert error_of(response) == (403, "Authorization code expired")


def test_the_lifetime_of_codes_can_be_set(emulator: Emulator, http: requests.Session) -> None:
    code = approved_code(emulator)
    with emulator.configured(code_max_age=0):
        response = exchange(http, emulator, code=code)
    assert error_of(response) == (403, "Authorization code expired")


def test_only_one_of_many_concurrent_exchanges_succeeds(emulator: Emulator) -> None:
    code = approved_code(emulator)

    def attempt(_: int) -> int:
        with requests.Session() as session:
            return exchange(session, emulator, code=code).status_code

    with ThreadPoolExecutor(16) as pool:
        statuses = sorted(pool.map(attempt, range(32)))
    assert statuses == [200] + [400] * 31


MALFORMED: list[tuple[Any, str | None, str]] = [
    ({}, "code", "Invalid input: expected string, received undefined"),
    ({"code": None}, "code", "Invalid input: expected string, received null"),
    ({"code": 5}, "code", "Invalid input: expected string, received number"),
    ({"code": 0.5}, "code", "Invalid input: expected string, received number"),
    ({"code": True}, "code", "Invalid input: expected string, received boolean"),
    ({"code": {}}, "code", "Invalid input: expected string, received object"),
    ({"code": ["x"]}, "code", "Invalid input: expected string, received array"),
    ({"code": ""}, "code", "Too small: expected string to have >=1 characters"),
    (
        {"code": "x", "code_verifier": None},
        "code_verifier",
        "Invalid input: expected string, received null",
    ),
    (
        {"code": "x", "code_challenge_method": 5},
        "code_challenge_method",
        'Invalid option: expected one of "S256"|"plain"',
    ),
    (
        {"code": "x", "code_challenge_method": "S512"},
        "code_challenge_method",
        'Invalid option: expected one of "S256"|"plain"',
    ),
    (
        {"code": "x", "code_challenge_method": "s256"},
        "code_challenge_method",
        'Invalid option: expected one of "S256"|"plain"',
    ),
    (["code"], None, "Invalid input: expected object, received array"),
    ("code", None, "Invalid input: expected object, received string"),
]


@pytest.mark.requirement("E9")
def test_a_malformed_member_is_a_zod_error(emulator: Emulator, http: requests.Session) -> None:
    for body, member, message in MALFORMED:
        with case(body):
            response = http.post(f"{emulator.url}/api/v1/auth/keys", json=body)
            assert response.status_code == 400
            assert response.json().keys() == {"success", "error"}
            assert response.json()["success"] is False
            assert response.json()["error"]["name"] == "ZodError"
            (issue,) = json.loads(response.json()["error"]["message"])
            assert issue["path"] == [member] * (member is not None)
            assert issue["message"] == message


@pytest.mark.requirement("E9")
def test_a_malformed_member_does_not_spend_the_code(
    emulator: Emulator, http: requests.Session
) -> None:
    code = approved_code(emulator, **S256)
    sent = {"code": code, "code_verifier": CODE_VERIFIER}
    refused = exchange(http, emulator, **sent, code_challenge_method="S512")
    assert refused.json()["error"]["name"] == "ZodError"
    assert exchange(http, emulator, **sent, code_challenge_method="S256").status_code == 200


@pytest.mark.requirement("E9")
def test_a_malformed_body_can_be_refused_as_documented(
    emulator: Emulator, http: requests.Session
) -> None:
    with emulator.configured(bad_body_style="documented"):
        for body in [
            {},
            {"code": None},
            {"code": ""},
            {"code": ["x"]},
            {"code": "x", "code_verifier": None},
            {"code": "x", "code_challenge_method": 5},
        ]:
            with case(body):
                response = exchange(http, emulator, **body)
                assert error_of(response) == (400, "Invalid request parameters")
                assert_documented(response.json(), "/auth/keys", "post", 400)
        sent = {"code": "x", "code_challenge_method": "S512"}
        assert error_of(exchange(http, emulator, **sent)) == (400, "Invalid code")
        for content_type, data in [
            ("application/json", b"["),
            ("application/json", b'["code"]'),
            ("text/plain", b'{"code": "a"}'),
        ]:
            with case(content_type, data):
                response = post(http, emulator, content_type, data)
                assert error_of(response) == (400, "Invalid request parameters")


@pytest.mark.requirement("E9", "M10")
def test_malformed_json_is_refused_in_plain_text(
    emulator: Emulator, http: requests.Session
) -> None:
    for data in [
        b"",
        b'{"code": "a"',
        b'{"code": NaN}',
        b'{"code": "a", "code": "b"}',
        b'{"code": "\xff"}',
        b"[" * 100_000,
        b"[" * 600 + b"]" * 600,
        b'{"code":' * 600 + b"1" + b"}" * 600,
    ]:
        with case(data[:20]):
            response = post(http, emulator, "application/json", data)
            assert response.status_code == 400
            assert response.headers["Content-Type"] == "text/plain; charset=utf-8"
            assert response.text == "Malformed JSON in request body"


def test_another_content_type_is_an_empty_body(emulator: Emulator, http: requests.Session) -> None:
    for content_type in ("text/plain", "application/x-www-form-urlencoded"):
        with case(content_type):
            response = post(http, emulator, content_type, b'{"code": "a"}')
            assert response.json()["error"]["name"] == "ZodError"
            assert "received undefined" in response.json()["error"]["message"]


def post(
    http: requests.Session, emulator: Emulator, content_type: str, data: bytes
) -> requests.Response:
    url, headers = f"{emulator.url}/api/v1/auth/keys", {"Content-Type": content_type}
    return http.post(url, data=data, headers=headers)


@pytest.mark.requirement("E9")
def test_a_get_can_be_404_as_seen_live(emulator: Emulator, http: requests.Session) -> None:
    url = f"{emulator.url}/api/v1/auth/keys"
    with emulator.configured(exchange_get_status=404):
        assert error_of(http.get(url))[0] == 404
        assert error_of(http.put(url))[0] == 405
    assert error_of(http.get(url))[0] == 405


@pytest.mark.requirement("R106")
def test_other_methods_are_not_allowed(emulator: Emulator, http: requests.Session) -> None:
    for method in ["GET", "PUT", "DELETE", "PATCH"]:
        with case(method):
            response = http.request(method, f"{emulator.url}/api/v1/auth/keys")
            assert error_of(response) == (405, "Method Not Allowed")
            assert response.headers["Allow"] == "OPTIONS, POST"


def test_the_exchange_needs_no_key_and_ignores_a_wrong_one(
    emulator: Emulator, http: requests.Session
) -> None:
    response = http.post(
        f"{emulator.url}/api/v1/auth/keys",
        json={"code": approved_code(emulator)},
        headers=bearer("nonsense"),
    )
    assert response.status_code == 200


def test_a_denial_creates_no_code_and_no_key(emulator: Emulator, http: requests.Session) -> None:
    assert "code=" not in emulator.deny(authorization_url(emulator, **S256))
    assert not http.get(f"{emulator.url}/_emulator/keys").json()["data"]
