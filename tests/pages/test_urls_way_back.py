"""The page to which a visitor comes back after a login that the guard asked for."""

from __future__ import annotations

from urllib.parse import parse_qs, quote, urlsplit

import pytest
from flask import Flask, request
from hostile_next import HOSTILE, offsite
from visitor import NAVIGATE, Visitor

from flask_openrouter import current_openrouter, requires_openrouter_key
from flask_openrouter.emulator import Emulator


@pytest.mark.requirement("R30")
def test_next_never_leaves_the_origin_when_the_guard_redirects(
    app: Flask, every_variant: bool
) -> None:
    @app.route("/<path:anything>", methods=["GET", "POST"])
    @requires_openrouter_key
    def catch_all(anything: str) -> str:
        raise AssertionError("the view ran")

    visitor = Visitor(app)
    redirected = 0
    lines = HOSTILE if every_variant else HOSTILE[::7]
    for line in lines:
        path = line.encode(errors="surrogatepass").decode("latin-1")
        asked = visitor.client.get("/x", environ_overrides={"PATH_INFO": f"/x{path}"})
        doubled = visitor.client.get("/x", environ_overrides={"PATH_INFO": f"//x{path}"})
        query = visitor.get("/x?" + quote(line, errors="surrogatepass", safe="/:@?"))
        referrer = "http://localhost" + quote(line, errors="surrogatepass", safe="/:@?#%\\[]")
        posted = visitor.post("/x", headers={"Referer": referrer})
        for answer in (asked, doubled, query, posted):
            if answer in (asked, doubled) and answer.status_code != 303:
                # Not an address of this view: Werkzeug merges slashes and routes no newlines.
                assert answer.status_code in (308, 404), line
                assert offsite(answer.headers.get("Location", "/")) is None, line
                continue
            redirected += 1
            assert answer.status_code == 303, line
            assert urlsplit(answer.location).path == "/openrouter/login"
            for next_url in parse_qs(urlsplit(answer.location).query).get("next", []):
                assert offsite(next_url) is None, line
    assert redirected > 2 * len(lines)


@pytest.mark.requirement("R54")
def test_a_request_with_a_body_is_neither_redirected_with_it_nor_repeated(
    app: Flask, emulator: Emulator
) -> None:
    bodies = []

    @app.route("/ask", methods=["GET", "POST", "PUT", "PATCH", "DELETE"])
    @requires_openrouter_key
    def ask() -> str:
        bodies.append(request.get_data())
        return current_openrouter.masked_key

    headers = {**NAVIGATE, "Referer": "http://localhost/chat?room=1"}
    for method in ("POST", "PUT", "PATCH", "DELETE"):
        visitor = Visitor(app)
        data = {"prompt": "secret"}
        asked = visitor.client.open("/ask", method=method, headers=headers, data=data)
        # 303, after which browsers ask with GET.
        assert asked.status_code == 303, method
        assert asked.location == "/openrouter/login?next=/chat?room%3D1", method
        assert "secret" not in str(asked.headers), method
        start = visitor.get(asked.location)
        assert "secret" not in start.location, method
        landed = visitor.get(emulator.approve(start.location))
        assert landed.location == "/chat?room=1", method
    assert bodies == []


@pytest.mark.requirement("R54")
def test_a_post_that_comes_from_no_page_of_the_app_returns_to_the_front_page(
    app: Flask, emulator: Emulator
) -> None:
    @app.post("/ask")
    @requires_openrouter_key
    def ask() -> str:
        raise AssertionError("the view ran")

    for referrer in (
        None,
        "",
        "https://evil.example/chat",
        "http://localhost:81/chat",
        "http://localhost@evil.example/",
        "http://[",
        "http://localhost",
        "about:blank",
        "javascript:alert(1)",
        "http://localhost//evil.example",
        "http://localhost/openrouter/login",
    ):
        visitor = Visitor(app)
        headers = {} if referrer is None else {"Referer": referrer}
        asked = visitor.post("/ask", headers=headers)
        assert asked.status_code == 303, referrer
        assert asked.location in ("/openrouter/login", "/openrouter/login?next=/"), referrer
        start = visitor.get(asked.location)
        assert visitor.get(emulator.approve(start.location)).location == "/", referrer
