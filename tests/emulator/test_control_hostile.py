"""The control API and the API under values that JSON can hold and a response cannot."""

from __future__ import annotations

import json
from typing import Any

import pytest
import requests
from cases import case
from protocol_steps import bearer, control, error_of, exchange

from flask_openrouter.emulator import Emulator, EmulatorConfig, Fault

HALF = "\ud83d"
SELF_REFERRING: list[Any] = []
SELF_REFERRING.append(SELF_REFERRING)
DEEP: Any = 1
for _ in range(600):
    DEEP = [DEEP]


@pytest.mark.requirement("M10")
def test_what_cannot_be_answered_is_refused(emulator: Emulator, http: requests.Session) -> None:
    for method, path, body in [
        ("POST", "/faults", {"status": 200, "body": DEEP}),
        ("POST", "/faults", {"status": 200, "body": HALF}),
        ("POST", "/faults", {"status": 200, "stream_body": HALF}),
        ("POST", "/faults", {"stream_body": "data: {}"}),
        ("POST", "/faults", {"delay": 1, "stream_body": "data: {}"}),
        ("POST", "/faults", {"status": 200, "stream_body": 5}),
        ("POST", "/faults", {"delay": 1e308}),
        ("POST", "/faults", {"delay": 86_401}),
        ("POST", "/faults", {"status": 500, "lasts": -1}),
        ("POST", "/faults", {"status": 500, "lasts": "1"}),
        ("POST", "/faults", {"status": 500, "rewrite": "bom"}),
        ("POST", "/faults", {"rewrite": "nonsense"}),
        ("POST", "/faults", {"rewrite": ["bom"]}),
        ("POST", "/faults", {"status": 500, "headers": {"X": "a\r\nSet-Cookie: b"}}),
        ("POST", "/faults", {"status": 500, "headers": {"X": "a\nb"}}),
        ("POST", "/faults", {"status": 500, "headers": {"X": "a\x00b"}}),
        ("POST", "/faults", {"status": 500, "headers": {"X\r\nY": "a"}}),
        ("POST", "/faults", {"status": 500, "headers": {"": "a"}}),
        ("POST", "/faults", {"status": 500, "headers": {"X Y": "a"}}),
        ("POST", "/faults", {"status": 500, "headers": {"X": "\u20ac"}}),
        ("POST", "/faults", {"status": 500, "headers": {HALF: "a"}}),
        ("POST", "/faults", {"status": 500, "self": 1}),
        ("POST", "/faults", {HALF: 1}),
        ("POST", "/keys", {"key_label": HALF}),
        ("POST", "/keys", {"key_label": "x" * 101}),
        ("POST", "/keys", {"key_label": None}),
        ("POST", "/keys", {"key_label": 5}),
        ("POST", "/keys", {"openrouter_user_id": HALF}),
        ("POST", "/keys", {"openrouter_user_id": ["x"]}),
        ("POST", "/keys", {"limit": 1e99}),
        ("POST", "/keys", {"limit": 1_000_000_001}),
        ("POST", "/keys", {"usage": 1e99}),
        ("POST", "/keys", {"usage": None}),
        ("PATCH", "/config", {"word_delay": 1e308}),
        ("PATCH", "/config", {"openrouter_user_id": HALF}),
        ("PATCH", "/config", {"workspace_ids": ["nonsense"]}),
        ("PATCH", "/config", {"workspace_ids": "nonsense"}),
        ("PATCH", "/config", {"spent_limit_status": True}),
        ("PATCH", "/config", {"spent_limit_status": 403.0}),
        ("PATCH", "/config", {"deny_style": [DEEP]}),
        ("PATCH", "/config", {HALF: 1}),
        ("POST", "/clock", {"advance": 1e308}),
    ]:
        with case(method, path, body):
            assert error_of(control(http, emulator, method, path, **body))[0] == 400
    assert control(http, emulator, "GET", "/faults").json() == {"data": []}
    assert emulator.config == EmulatorConfig()
    assert http.get(f"{emulator.url}/settings/keys").status_code == 200


@pytest.mark.requirement("M10")
def test_deep_json_is_refused_everywhere(emulator: Emulator, http: requests.Session) -> None:
    deep = ("[" * 600 + "]" * 600).encode()
    headers = {"Content-Type": "application/json", **bearer(emulator.issue_key())}
    for path in ("/api/v1/chat/completions", "/api/v1/auth/keys", "/api/v1/auth/keys/code"):
        with case(path):
            for data in (deep, b'{"messages":%s}' % deep):
                response = http.post(emulator.url + path, data=data, headers=headers)
                assert response.status_code == 400
                assert emulator.requests[-1].body is None
    assert control(http, emulator, "GET", "/requests").status_code == 200


@pytest.mark.requirement("M10")
def test_shallow_json_is_read(emulator: Emulator, http: requests.Session) -> None:
    shallow = json.loads("[" * 90 + "]" * 90)
    http.post(f"{emulator.url}/nowhere", json=shallow)
    assert emulator.requests[-1].body == shallow
    assert control(http, emulator, "POST", "/faults", status=200, body=shallow).status_code == 200
    assert http.get(emulator.url).json() == shallow


@pytest.mark.requirement("M10")
def test_a_fault_whose_body_is_no_json_is_refused() -> None:
    for body in (SELF_REFERRING, DEEP, object(), {"a": {1, 2}}, HALF):
        with case(type(body)), pytest.raises(ValueError, match="body must be"):
            Fault(status=200, body=body)


@pytest.mark.requirement("M10")
def test_half_a_surrogate_pair_in_a_label_spoils_no_page(
    emulator: Emulator, http: requests.Session
) -> None:
    response = http.post(
        f"{emulator.url}/api/v1/auth/keys/code",
        json={"callback_url": "http://localhost/", "key_label": HALF},
        headers=bearer(emulator.issue_key()),
    )
    assert error_of(response)[0] == 400
    emoji = {"callback_url": "http://localhost/", "key_label": "\U0001f600"}
    headers = bearer(emulator.issue_key())
    url = f"{emulator.url}/api/v1/auth/keys/code"
    code = http.post(url, json=emoji, headers=headers).json()["data"]["id"]
    assert exchange(http, emulator, code=code).status_code == 200
    assert "\U0001f600" in http.get(f"{emulator.url}/settings/keys").text


def test_a_fault_can_script_a_stream(emulator: Emulator, http: requests.Session) -> None:
    script = 'data: {"choices": []}\n\ndata: [DONE]\n\n'
    url = f"{emulator.url}/api/v1/chat/completions"
    with emulator.faults(status=200, body={"a": 1}, stream_body=script, times=3):
        for body, text in [({"stream": True}, script), ({"stream": 1}, None), ([], None)]:
            with case(body):
                response = http.post(url, json=body)
                if text is None:
                    assert response.json() == {"a": 1}
                else:
                    assert response.text == text
                    assert response.headers["Content-Type"].startswith("text/event-stream")


def test_a_path_can_be_a_beginning(emulator: Emulator, http: requests.Session) -> None:
    with emulator.faults(status=503, path="/api/v1/models*", times=None):
        for path, status in [("models", 503), ("models/user", 503), ("key", 401)]:
            with case(path):
                response = http.get(f"{emulator.url}/api/v1/{path}")
                assert response.status_code == status
