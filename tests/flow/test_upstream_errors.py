"""Every status with which OpenRouter may answer the exchange: what the visitor is told."""

from __future__ import annotations

import pytest
from visitor import Visitor

from flask_openrouter.emulator import Emulator

EXCHANGE = "/api/v1/auth/keys"


@pytest.mark.parametrize(
    ("upstream", "status", "code"),
    [
        *((status, 400, "code_refused") for status in (400, 403)),
        *((status, 502, "provider_failed") for status in (401, 402, 404, 405, 408, 413, 422)),
        *((status, 502, "busy") for status in (409, 429)),
        *((status, 502, "provider_failed") for status in (500, 502, 503, 504, 524, 529)),
        (204, 502, "unexpected_answer"),
        (307, 502, "unexpected_answer"),
    ],
)
def test_a_login_that_openrouter_does_not_finish(
    visitor: Visitor, emulator: Emulator, upstream: int, status: int, code: str
) -> None:
    visitor.connect(emulator)
    key = visitor.key
    callback = emulator.approve(visitor.start("/guarded"))
    with emulator.faults(status=upstream, path=EXCHANGE, times=None):
        page = visitor.get(callback)
    assert page.status_code == status
    assert f"Error {code}," in page.text
    assert 'href="/openrouter/login?next=/guarded"' in page.text
    assert emulator.count("POST", EXCHANGE) == 2
    assert visitor.key == key


def test_a_lost_connection_says_that_a_key_may_exist(visitor: Visitor, emulator: Emulator) -> None:
    callback = emulator.approve(visitor.start())
    with emulator.faults(reset=True, processed=True, path=EXCHANGE):
        page = visitor.get(callback)
    assert page.status_code == 502
    assert "/settings/keys" in page.text
    assert emulator.count("POST", EXCHANGE) == 1
