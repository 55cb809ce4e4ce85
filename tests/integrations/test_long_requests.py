"""Over-long requests to real web servers: they are refused, and none becomes an exchange."""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from urllib.parse import urlsplit

import pytest
from attack import exchanges
from flask import Flask
from live_app import Browser, live, raw_request
from web_servers import running_web_server

from flask_openrouter.emulator import Emulator

#: The status of each server, by the length of the query and by that of one header, in bytes. The
#: extension refuses with 400 what the server accepts: its own limit is 8 KiB.
ANSWERS = {
    "werkzeug": {"query": {5_000: 400, 9_000: 400, 70_000: 414}, "header": {70_000: 431}},
    "gunicorn": {"query": {3_000: 400, 5_000: 414, 70_000: 414}, "header": {9_000: 431}},
}


@contextmanager
def _serving(kind: str, app: Flask, emulator: Emulator) -> Iterator[str]:
    if kind == "werkzeug":
        with live(app) as url:
            yield url
        return
    settings = {"OPENROUTER_BASE_URL": emulator.url, "OPENROUTER_EMULATOR": "true"}
    with running_web_server("gunicorn sync", SECRET_KEY=secrets.token_hex(), **settings) as server:
        yield server.url


def _status(url: str, path: str, cookie: str, **headers: str) -> int:
    lines = [f"GET {path} HTTP/1.1", f"Host: {urlsplit(url).netloc}", f"Cookie: {cookie}"]
    lines += [f"{name}: {value}" for name, value in headers.items()]
    request = "\r\n".join([*lines, "Connection: close", "", ""])
    answer = raw_request(url, request.encode())
    assert b"xxxxxxxxxx" not in answer
    return int(answer.split(b" ", 2)[1])


@pytest.mark.requirement("R102")
@pytest.mark.parametrize("kind", ANSWERS)
def test_a_live_server_never_turns_an_over_long_request_into_an_exchange(
    kind: str, app: Flask, emulator: Emulator
) -> None:
    """All of them come from the right browser, with the right state and a valid code."""
    with _serving(kind, app, emulator) as url:
        browser = Browser(url)
        callback_url = emulator.approve(browser.start("/there"))
        path = callback_url.removeprefix(url)
        cookie = "; ".join(map("=".join, browser.jar.items()))
        for length, status in ANSWERS[kind]["query"].items():
            code = f"{path}{'x' * length}"
            assert _status(url, code, cookie) == status, length
        for length, status in ANSWERS[kind]["header"].items():
            assert _status(url, path, cookie, Long="x" * length) == status, length
            assert _status(url, path, f"{cookie}; long={'x' * length}") == status, length
        assert exchanges(emulator) == 0
        assert browser.get(callback_url).location == "/there"
        assert exchanges(emulator) == 1
