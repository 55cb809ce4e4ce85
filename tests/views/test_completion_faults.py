"""Every failure of the exchange ends on a page that explains it, without a second exchange."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from attack import (
    EXCHANGE,
    exchanges,
    parameter,
)
from cases import case
from flask import Flask
from misbehaving import Act, MisbehavingProvider, answer, hang, http_answer, raw, reset
from page_checks import assert_explains
from visitor import Visitor

from flask_openrouter.emulator import Emulator

MakeApp = Callable[..., Flask]


NOT_JSON = "<html><h1>Traceback</h1>nginx/1.2 /usr/lib/python3</html>"


FAULTS: dict[str, tuple[Act, int]] = {
    "f3_expired": (answer(403, {"error": {"message": "Authorization code expired"}}), 400),
    "f4_wrong_verifier": (answer(403, {"error": {"message": "Invalid code_verifier"}}), 400),
    "f5_method": (answer(400, {"error": {"message": "Invalid code_challenge_method"}}), 400),
    "f6_405": (answer(405, {"error": {"message": "Method Not Allowed"}}), 502),
    "f7_409": (answer(409, "conflict"), 502),
    "f7_429": (answer(429, "slow down", {"Retry-After": "3600"}), 502),
    "f8_500": (answer(500, NOT_JSON), 502),
    "f8_503": (answer(503, NOT_JSON), 502),
    "f13_reset": (reset(), 502),
    "f14_half": (raw(http_answer(200, '{"key": "sk', length=999)), 502),
    "f15_silence": (hang(), 504),
    "f17_redirect": (answer(307, "", {"Location": "http://127.0.0.1:9/"}), 502),
    "f18_null": (answer(200, "null"), 502),
    "f19_portal": (answer(200, NOT_JSON), 502),
    "f14_garbage": (raw(b"SSH-2.0-OpenSSH_9\r\n"), 502),
}


def callback(visitor: Visitor, **values: str) -> Any:
    return visitor.get(visitor.callback_url(visitor.start("/mine"), **values))


@pytest.mark.requirement("R60")
def test_after_every_fault_a_person_knows_what_to_do(make_app: MakeApp) -> None:
    for fault, (act, status) in FAULTS.items():
        # Seconds. Only one of them has to pass.
        limit = 2 if fault == "f15_silence" else 60
        with case(fault), MisbehavingProvider(act) as provider:
            app = make_app(OPENROUTER_BASE_URL=provider.url, OPENROUTER_REQUEST_TIMEOUT=limit)
            failed = callback(Visitor(app), code="any-code")
            assert len(provider.exchanges) == 1
            assert failed.status_code == status
            assert_explains(failed)


@pytest.mark.requirement("R60")
def test_an_openrouter_that_cannot_be_reached_is_explained(make_app: MakeApp) -> None:
    with MisbehavingProvider() as provider:
        url = provider.url
    failed = callback(Visitor(make_app(OPENROUTER_BASE_URL=url)), code="any-code")
    assert failed.status_code == 502
    assert_explains(failed)


#: The status of OpenRouter's response to the exchange, and the status and code of the page.
REFUSALS = (
    *((status, 400, "code_refused") for status in (400, 403)),
    *((status, 502, "provider_failed") for status in (401, 402, 404, 405, 408, 413, 422)),
    *((status, 502, "busy") for status in (409, 429)),
    *((status, 502, "provider_failed") for status in (500, 502, 503, 504, 524, 529)),
    (204, 502, "unexpected_answer"),
    (307, 502, "unexpected_answer"),
)


def test_every_status_of_the_exchange_has_its_problem_and_keeps_the_old_key(
    visitor: Visitor, emulator: Emulator
) -> None:
    visitor.connect(emulator)
    key = visitor.key
    for number, (upstream, status, code) in enumerate(REFUSALS, 2):
        callback_url = emulator.approve(visitor.start("/guarded"))
        with emulator.faults(status=upstream, path=EXCHANGE, times=None):
            page = visitor.get(callback_url)
        assert page.status_code == status, upstream
        assert f"Error {code}," in page.text, upstream
        assert 'href="/openrouter/login?next=/guarded"' in page.text, upstream
        assert emulator.count("POST", EXCHANGE) == number, upstream
        assert visitor.key == key is not None, upstream


def test_a_lost_connection_says_that_a_key_may_exist(visitor: Visitor, emulator: Emulator) -> None:
    callback_url = emulator.approve(visitor.start())
    with emulator.faults(reset=True, processed=True, path=EXCHANGE):
        page = visitor.get(callback_url)
    assert page.status_code == 502
    assert "/settings/keys" in page.text
    assert emulator.count("POST", EXCHANGE) == 1


@pytest.mark.requirement("R15", "F5", "F6")
def test_a_refusal_of_the_challenge_method_causes_no_second_try(
    visitor: Visitor, emulator: Emulator
) -> None:
    refusals = [(400, "Invalid code_challenge_method"), (405, "Method Not Allowed")]
    for number, (status, message) in enumerate(refusals, 1):
        callback_url = emulator.approve(visitor.start())
        body = {"error": {"code": status, "message": message}}
        with case(status), emulator.faults(status=status, body=body, path=EXCHANGE, times=None):
            answer = visitor.get(callback_url)
            assert answer.status_code in (400, 502)
            assert message not in answer.text
            assert exchanges(emulator) == number
            again = visitor.get(callback_url)
            assert again.status_code == answer.status_code, "no other way ends the same login"
            assert exchanges(emulator) == number
    assert visitor.key is None


@pytest.mark.requirement("F4")
def test_the_page_does_not_tell_whether_code_or_verifier_was_wrong(
    app: Flask, visitor: Visitor, emulator: Emulator
) -> None:
    pages = []
    for code in ("no-such-code", parameter(emulator.approve(Visitor(app).start()), "code")):
        page = visitor.get(visitor.callback_url(visitor.start(), code=code)).text
        pages.append(page.partition("reference")[0].partition("<h1")[2])
    assert pages[0] == pages[1] != ""
