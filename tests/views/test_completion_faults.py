"""Every failure of the exchange ends on a page that explains it, without a second exchange."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from attack import (
    EXCHANGE,
    exchanges,
    parameter,
)
from cases import case
from flask import Flask
from visitor import Visitor

from flask_openrouter.emulator import Emulator

MakeApp = Callable[..., Flask]


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
