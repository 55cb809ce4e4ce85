"""The methods of the routes: GET visits, POST changes, and nothing overrides a method."""

from __future__ import annotations

from urllib.parse import urlsplit

import pytest
from attack import exchanges
from background_loads import SUBRESOURCES, assert_nothing_happened, bare
from cases import case
from visitor import NAVIGATE, Visitor

from flask_openrouter.emulator import Emulator


@pytest.mark.requirement("R46")
def test_other_methods_are_refused(visitor: Visitor, emulator: Emulator) -> None:
    callback_url = emulator.approve(visitor.start())
    pages = tuple(f"/openrouter/{page}" for page in ("login", "status", "usage", "disconnected"))
    for method in ("POST", "PUT", "DELETE", "PATCH", "TRACE", "PROPFIND", "X"):
        for url in (callback_url, *pages):
            with case(method, url):
                answer = bare(visitor, method, url, NAVIGATE)
                assert answer.status_code == 405
                assert_nothing_happened(answer, emulator)
        if method != "POST":
            for url in ("/openrouter/disconnect", "/openrouter/save", "/openrouter/code"):
                assert bare(visitor, method, url, NAVIGATE).status_code == 405, (method, url)
    assert visitor.get(callback_url).status_code == 303


@pytest.mark.requirement("R46")
def test_options_lists_the_methods_and_allows_no_other_origin(
    visitor: Visitor, emulator: Emulator
) -> None:
    callback_url = emulator.approve(visitor.start())
    preflight = {
        "Origin": "https://evil.example",
        "Access-Control-Request-Method": "POST",
        "Access-Control-Request-Headers": "X-Requested-With",
    }
    for url, allowed in (
        (callback_url, {"GET", "HEAD", "OPTIONS"}),
        ("/openrouter/login", {"GET", "HEAD", "OPTIONS"}),
        ("/openrouter/status", {"GET", "HEAD", "OPTIONS"}),
        ("/openrouter/usage", {"GET", "HEAD", "OPTIONS"}),
        ("/openrouter/disconnect", {"POST", "OPTIONS"}),
        ("/openrouter/save", {"POST", "OPTIONS"}),
        ("/openrouter/code", {"GET", "HEAD", "POST", "OPTIONS"}),
    ):
        answer = bare(visitor, "OPTIONS", url, preflight)
        assert answer.status_code == 200
        assert set(answer.headers["Allow"].split(", ")) == allowed
        assert not [name for name, _ in answer.headers if name.startswith("Access-Control")]
        assert "Set-Cookie" not in answer.headers
    assert exchanges(emulator) == 0


@pytest.mark.requirement("R46")
def test_no_header_or_parameter_changes_the_method(visitor: Visitor, emulator: Emulator) -> None:
    visitor.connect(emulator)
    override = {"X-HTTP-Method-Override": "POST", "X-Method-Override": "POST", **NAVIGATE}
    for url in ("/openrouter/disconnect", "/openrouter/disconnect?_method=POST"):
        assert bare(visitor, "GET", url, override).status_code == 405
    callback_url = emulator.approve(visitor.start())
    data = {"_method": "GET"}
    headers = {"X-HTTP-Method-Override": "GET"}
    path = urlsplit(callback_url)._replace(scheme="", netloc="").geturl()
    assert visitor.post(path, data=data, headers=headers).status_code == 405
    assert visitor.key is not None
    assert exchanges(emulator) == 1


@pytest.mark.requirement("R51")
def test_disconnect_takes_post_only(visitor: Visitor, emulator: Emulator) -> None:
    visitor.connect(emulator)
    key = visitor.key
    for method in ("GET", "HEAD", "PUT", "DELETE", "PATCH"):
        for headers in (NAVIGATE, *SUBRESOURCES):
            answer = bare(visitor, method, "/openrouter/disconnect", headers)
            assert answer.status_code == 405
            assert "Set-Cookie" not in answer.headers
    assert visitor.connect(emulator, "/openrouter/disconnect").location == "/"
    assert visitor.key not in (None, key)
