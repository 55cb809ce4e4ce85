"""A request that a script made, and a request that is a visit. Only a visit has effects."""

from __future__ import annotations

import pytest
from attack import pending
from background_loads import SUBRESOURCES, assert_nothing_happened, bare
from cases import case
from flask import Flask
from visitor import NAVIGATE, Visitor

from flask_openrouter.emulator import Emulator
from flask_openrouter.pages.visit import is_htmx, is_script

PREFETCHES = [
    {"Sec-Purpose": "prefetch"},
    {"Sec-Purpose": "prefetch;prerender"},
    {"Sec-Purpose": "prefetch;anonymous-client-ip"},
    {"Purpose": "prefetch"},
    {"Purpose": "Prefetch"},
    {"X-Moz": "prefetch"},
    {"X-Purpose": "preview"},
    {"X-Purpose": "preview", "Purpose": "preview"},
]


def test_a_request_that_prefers_json_comes_from_a_script(app: Flask) -> None:
    for accept, expected in (
        (None, False),
        ("", False),
        ("*/*", False),
        ("text/*", False),
        ("text/html", False),
        ("text/html,application/json", False),
        ("application/json,text/html", False),
        ("text/html,*/*;q=0.8", False),
        ("application/xhtml+xml,*/*", False),
        ("application/json;q=0", False),
        ("application/json", True),
        ("application/*", True),
        ("application/json,*/*", True),
        ("application/json, text/plain, */*", True),
        ("application/json,text/html;q=0.9", True),
        ("text/html;q=0,*/*", True),
    ):
        headers = {} if accept is None else {"Accept": accept}
        with app.test_request_context("/", headers=headers):
            assert is_script() is expected, accept


def test_the_headers_of_browsers_tell_scripts_from_visits(app: Flask) -> None:
    requests: list[tuple[dict[str, str], bool]] = [
        ({"Sec-Fetch-Mode": "navigate", "Accept": "text/html"}, False),
        ({"Sec-Fetch-Mode": "navigate", "Sec-Fetch-Dest": "document"}, False),
        ({"Sec-Fetch-Mode": "cors", "Accept": "text/html"}, True),
        ({"Sec-Fetch-Mode": "websocket"}, True),
        ({"Sec-Fetch-Dest": "empty"}, True),
        ({"X-Requested-With": "XMLHttpRequest", "Accept": "text/html"}, True),
        ({"HX-Request": "True"}, True),
        ({"Content-Type": "application/json; charset=utf-8"}, True),
        ({"Content-Type": "text/plain"}, False),
    ]
    for headers, expected in requests:
        with app.test_request_context("/", headers=headers):
            assert is_script() is expected, headers


def test_htmx_is_known_by_its_header(app: Flask) -> None:
    for value, expected in (("true", True), ("TRUE", True), ("1", False), ("", False)):
        with app.test_request_context("/", headers={"HX-Request": value}):
            assert is_htmx() is expected


@pytest.mark.requirement("R45")
def test_head_has_no_effect(visitor: Visitor, emulator: Emulator) -> None:
    assert_nothing_happened(bare(visitor, "HEAD", "/openrouter/login", NAVIGATE), emulator)
    assert_nothing_happened(bare(visitor, "HEAD", "/openrouter/code", NAVIGATE), emulator)
    assert pending(visitor) == []
    callback_url = emulator.approve(visitor.start("/a"))
    for _ in range(3):
        assert_nothing_happened(bare(visitor, "HEAD", callback_url, NAVIGATE), emulator)
    assert visitor.get(callback_url).location == "/a"
    assert visitor.key is not None


@pytest.mark.requirement("R47")
def test_speculative_loads_start_and_finish_nothing(app: Flask, emulator: Emulator) -> None:
    for headers in PREFETCHES:
        emulator.reset()
        visitor = Visitor(app)
        with case(headers):
            for path in ("/openrouter/login", "/openrouter/code"):
                answer = bare(visitor, "GET", path, {**NAVIGATE, **headers})
                assert_nothing_happened(answer, emulator)
            callback_url = emulator.approve(visitor.start("/a"))
            answer = bare(visitor, "GET", callback_url, {**NAVIGATE, **headers})
            assert_nothing_happened(answer, emulator)
            assert visitor.get(callback_url).location == "/a"
            assert visitor.key is not None


@pytest.mark.requirement("R48")
def test_sub_resource_loads_start_and_finish_nothing(app: Flask, emulator: Emulator) -> None:
    for headers in SUBRESOURCES:
        emulator.reset()
        visitor = Visitor(app)
        with case(headers):
            for path in ("/openrouter/login", "/openrouter/code"):
                answer = bare(visitor, "GET", path, headers)
                assert answer.status_code == 403
                assert_nothing_happened(answer, emulator)
            callback_url = emulator.approve(visitor.start("/a"))
            assert_nothing_happened(bare(visitor, "GET", callback_url, headers), emulator)
            denied = emulator.deny(visitor.start("/b"))
            assert_nothing_happened(bare(visitor, "GET", denied, headers), emulator)
            assert len(pending(visitor)) == 2
            assert visitor.get(callback_url).location == "/a"


@pytest.mark.requirement("R48")
def test_a_browser_that_sends_no_fetch_metadata_is_served(app: Flask, emulator: Emulator) -> None:
    for headers in ({}, {"Referer": "http://localhost/"}):
        visitor = Visitor(app)
        start = bare(visitor, "GET", "/openrouter/login?next=/a", headers)
        assert start.status_code == 303, headers
        landed = bare(visitor, "GET", emulator.approve(start.location), headers)
        assert landed.location == "/a", headers
        assert visitor.key is not None, headers
