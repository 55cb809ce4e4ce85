"""Strangers in great numbers, or with great addresses (OWASP ASVS 5.0, 2.4.1 and 15.1.3)."""

from __future__ import annotations

import logging
import time

import pytest
from attack import pending
from flask import Flask
from leaks import response_bytes
from visitor import NAVIGATE, Visitor
from werkzeug.test import EnvironBuilder, TestResponse, run_wsgi_app
from werkzeug.wrappers import Request

from flask_openrouter.emulator import Emulator

MEGABYTES_10 = 10_000_000


HUGE = "x" * MEGABYTES_10


@pytest.mark.requirement("R102")
@pytest.mark.parametrize(
    ("method", "path", "query", "status"),
    [
        ("GET", "/openrouter/login", f"next=/{HUGE}", 303),
        ("GET", "/openrouter/login", f"{HUGE}=1", 303),
        ("GET", "/openrouter/callback", f"state={HUGE}&code=a", 400),
        ("GET", "/openrouter/callback", f"error={HUGE}", 400),
        ("GET", "/openrouter/callback", HUGE, 400),
        ("GET", "/openrouter/code", f"next=/{HUGE}", 200),
        ("GET", "/openrouter/connected", f"next=/{HUGE}", 200),
        ("GET", "/openrouter/disconnected", f"key={HUGE}", 200),
        ("GET", "/openrouter/status", HUGE, 200),
        ("POST", "/openrouter/disconnect", f"next=/{HUGE}", 303),
        ("GET", "/guarded", HUGE, 303),
    ],
    ids=lambda value: str(value)[:12],
)
def test_a_huge_address_is_cheap_and_nowhere_repeated(
    app: Flask,
    caplog: pytest.LogCaptureFixture,
    method: str,
    path: str,
    query: str,
    status: int,
) -> None:
    """Measured inside the server: a web server in front refuses such an address long before."""
    caplog.set_level(logging.DEBUG)
    answer, seconds = _ask(app, method, path, query)
    assert answer.status_code == status
    assert seconds < 1
    said = response_bytes(answer)
    assert len(said) < 20_000
    for text in (said.decode(), caplog.text):
        assert "xxxxxxxxxx" not in text


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
