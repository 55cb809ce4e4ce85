"""Faults, added from inside the process and over HTTP."""

from __future__ import annotations

import time

import pytest
import requests
from cases import case
from protocol_steps import approved_code, bearer, control, error_of, exchange

from flask_openrouter.emulator import Emulator, create_emulator_app

KEY_PATH = "/api/v1/key"


def status_of(http: requests.Session, emulator: Emulator, api_key: str) -> int:
    return http.get(f"{emulator.url}{KEY_PATH}", headers=bearer(api_key)).status_code


def test_a_fault_hits_the_next_matching_request_only(
    emulator: Emulator, http: requests.Session
) -> None:
    api_key = emulator.issue_key()
    emulator.add_fault(status=500, path=KEY_PATH, method="GET")
    assert http.post(f"{emulator.url}{KEY_PATH}").status_code == 405
    assert http.get(f"{emulator.url}/api/v1/models").status_code == 200
    assert status_of(http, emulator, api_key) == 500
    assert status_of(http, emulator, api_key) == 200


def test_faults_apply_in_the_order_they_were_added(
    emulator: Emulator, http: requests.Session
) -> None:
    api_key = emulator.issue_key()
    emulator.add_fault(status=500, times=2)
    emulator.add_fault(status=503)
    assert [status_of(http, emulator, api_key) for _ in range(4)] == [500, 500, 503, 200]


def test_a_fault_ends_with_its_block(emulator: Emulator, http: requests.Session) -> None:
    api_key = emulator.issue_key()
    with emulator.faults(status=500, times=None):
        assert {status_of(http, emulator, api_key) for _ in range(3)} == {500}
    assert status_of(http, emulator, api_key) == 200


def test_a_fault_may_send_any_body(emulator: Emulator, http: requests.Session) -> None:
    for body, content_type, text in [
        ("plain", "text/plain; charset=utf-8", "plain"),
        (b"bytes", "text/plain; charset=utf-8", "bytes"),
        ({"a": 1}, "application/json", '{"a":1}\n'),
        ([], "application/json", "[]\n"),
    ]:
        with case(body, content_type, text):
            with emulator.faults(status=200, body=body):
                response = http.get(emulator.url)
            assert response.headers["Content-Type"] == content_type
            assert response.text == text
            with emulator.faults(status=200, body=body, headers={"Content-Type": "text/html"}):
                assert http.get(emulator.url).headers["Content-Type"] == "text/html"


def test_a_delay_alone_only_delays(emulator: Emulator, http: requests.Session) -> None:
    api_key = emulator.issue_key()
    with emulator.faults(delay=0.1):
        started = time.monotonic()
        assert status_of(http, emulator, api_key) == 200
        # time: a lower bound, which a slow machine only exceeds by more
        assert time.monotonic() - started >= 0.1


def test_a_reset_sends_no_response(emulator: Emulator, http: requests.Session) -> None:
    with emulator.faults(reset=True), pytest.raises(requests.exceptions.ConnectionError):
        http.get(f"{emulator.url}{KEY_PATH}")
    assert emulator.count("GET", KEY_PATH) == 1
    assert emulator.requests[-1].status is None


def test_a_response_can_be_lost_after_the_request_took_effect(
    emulator: Emulator, http: requests.Session
) -> None:
    for fault in [{"reset": True}, {"status": 502}, {"delay": 0.01}]:
        with case(fault):
            code = approved_code(emulator)
            with emulator.faults(processed=True, **fault):
                try:
                    status = exchange(http, emulator, code=code).status_code
                except requests.exceptions.ConnectionError:
                    status = 0
            assert status == fault.get("status", 0 if "reset" in fault else 200)
            assert error_of(exchange(http, emulator, code=code)) == (400, "Invalid code")


def test_in_process_a_reset_is_an_exception() -> None:
    app = create_emulator_app()
    app.extensions["openrouter_emulator"].add_fault(reset=True)
    with pytest.raises(ConnectionResetError):
        app.test_client().get("/")


def test_an_invalid_fault_is_refused(emulator: Emulator, http: requests.Session) -> None:
    for fault in [
        {},
        {"status": 100},
        {"status": 600},
        {"status": True},
        {"status": "500"},
        {"delay": -1},
        {"delay": "1"},
        {"mid_stream": True, "delay": 1},
        {"status": 500, "reset": "yes"},
        {"status": 500, "processed": True, "mid_stream": True},
        {"status": 500, "path": 5},
        {"status": 500, "method": 5},
        {"status": 500, "headers": {"Retry-After": 5}},
        {"status": 500, "headers": "none"},
        {"status": 500, "times": 0},
        {"status": 500, "times": True},
        {"status": 500, "nonsense": 1},
    ]:
        with case(fault):
            with pytest.raises(ValueError, match=r"\w"):
                emulator.add_fault(**fault)
            assert error_of(control(http, emulator, "POST", "/faults", **fault))[0] == 400
            assert control(http, emulator, "GET", "/faults").json() == {"data": []}


def test_faults_can_be_set_over_http(emulator: Emulator, http: requests.Session) -> None:
    api_key = emulator.issue_key()
    emulator.add_fault(status=500, body=b"bytes", times=5)
    control(http, emulator, "DELETE", "/faults")
    control(http, emulator, "POST", "/faults", status=429, times=2, path=KEY_PATH)
    (waiting,) = control(http, emulator, "GET", "/faults").json()["data"]
    assert (waiting["status"], waiting["path"]) == (429, KEY_PATH)
    assert [status_of(http, emulator, api_key) for _ in range(3)] == [429, 429, 200]
    emulator.add_fault(status=500, body=b"bytes")
    (waiting,) = control(http, emulator, "GET", "/faults").json()["data"]
    assert waiting["body"] == "bytes"
