"""Addresses of great length (OWASP ASVS 5.0, 2.4.1 and 15.1.3)."""

from __future__ import annotations

import logging
import time

import pytest
from attack import pending
from cases import case
from flask import Flask
from leaks import response_bytes
from visitor import NAVIGATE, Visitor
from werkzeug.test import EnvironBuilder, TestResponse, run_wsgi_app
from werkzeug.wrappers import Request

from flask_openrouter.emulator import Emulator

MEGABYTES_10 = 10_000_000


HUGE = "x" * MEGABYTES_10


#: Method, path, query, and the status of the response.
HUGE_ADDRESSES = (
    ("GET", "/openrouter/login", f"next=/{HUGE}", 303),
    ("GET", "/openrouter/login", f"{HUGE}=1", 303),
    ("GET", "/openrouter/callback", f"state={'A' * 43}&code={HUGE}", 400),
    ("GET", "/openrouter/callback", f"state={HUGE}&code=a", 400),
    ("GET", "/openrouter/callback", f"error={HUGE}", 400),
    ("GET", "/openrouter/callback", HUGE, 400),
    ("GET", "/openrouter/code", f"next=/{HUGE}", 200),
    ("GET", "/openrouter/connected", f"next=/{HUGE}", 200),
    ("GET", "/openrouter/disconnected", f"key={HUGE}", 200),
    ("GET", "/openrouter/status", HUGE, 200),
    ("POST", "/openrouter/disconnect", f"next=/{HUGE}", 303),
    ("GET", "/guarded", HUGE, 303),
)


@pytest.mark.requirement("R9", "R102")
def test_a_huge_address_is_cheap_and_is_not_repeated(
    app: Flask, caplog: pytest.LogCaptureFixture
) -> None:
    """Measured inside the server: a web server in front refuses such an address long before.

    Every response normally takes well under a second.
    """
    caplog.set_level(logging.DEBUG)
    for method, path, query, status in HUGE_ADDRESSES:
        answer, seconds = _ask(app, method, path, query)
        with case(path, query[:12]):
            assert answer.status_code == status
            assert seconds < 10
            shown = response_bytes(answer)
            assert len(shown) < 20_000
            assert "xxxx" not in caplog.text
            assert "xxxx" not in shown.decode()


def _ask(app: Flask, method: str, path: str, query: str) -> tuple[TestResponse, float]:
    headers = {**NAVIGATE, "Sec-Fetch-Site": "same-origin"}
    environ = EnvironBuilder(path, method=method, headers=headers).get_environ()
    environ["QUERY_STRING"] = query
    begin = time.perf_counter()
    # Buffered: the time of the whole answer counts.
    body, status, head = run_wsgi_app(app.wsgi_app, environ, buffered=True)
    seconds = time.perf_counter() - begin
    return TestResponse(body, status, head, Request(environ)), seconds


@pytest.mark.requirement("R102")
@pytest.mark.parametrize(("length", "is_kept"), [(1_000, True), (1_100, False), (100_000, False)])
def test_a_next_of_more_than_a_kilobyte_is_dropped(
    visitor: Visitor, emulator: Emulator, length: int, is_kept: bool
) -> None:
    next_url = "/" + "x" * (length - 1)
    callback = emulator.approve(visitor.start(next_url))
    assert len(pending(visitor)) == 1
    assert visitor.get(callback).location == (next_url if is_kept else "/")
