"""Headers and markup of the pages: no scripts, no frames, nothing cached or sent elsewhere."""

from __future__ import annotations

import re
from typing import Any
from urllib.parse import urlsplit

import pytest
from flask import Flask, Response
from page_checks import Page, assert_harmless, assert_headers, every_page, page_after_popup
from visitor import NAVIGATE, Visitor
from werkzeug.test import EnvironBuilder, run_wsgi_app

from flask_openrouter.emulator import Emulator
from flask_openrouter.pages.responses import protect_page, see_other


@pytest.mark.requirement("R57")
def test_pages_run_under_a_strict_policy(app: Flask, emulator: Emulator) -> None:
    pages = every_page(app)
    pages.append(("a popup", page_after_popup(Visitor(app), emulator)))
    for path, shown in pages:
        page = Page(shown.text)
        is_popup = path == "a popup"
        scripts = ("/openrouter/static/popup.js",) if is_popup else ()
        assert_harmless(page, scripts=scripts)
        assert_headers(shown, scripts=is_popup)
        foreign = {
            f"{urlsplit(a['href']).scheme}://{urlsplit(a['href']).netloc}"
            for a in page.all("a")
            if a["href"] and urlsplit(a["href"]).netloc
        }
        assert foreign <= {emulator.url}
        assert len(page.all("h1")) == 1
        assert page.all("html")[0]["lang"] == "en"
        assert page.all("main")


@pytest.mark.requirement("R57")
def test_the_style_needs_nothing_from_elsewhere(visitor: Visitor) -> None:
    with visitor.get("/openrouter/static/openrouter.css") as style:
        assert style.content_type.startswith("text/css")
        text = style.text
    assert not re.search(r"url\(|@import|expression|https?:", text)


@pytest.mark.requirement("R58")
def test_every_response_of_the_extension_refuses_frames(
    visitor: Visitor, emulator: Emulator
) -> None:
    start = visitor.get("/openrouter/login")
    background = visitor.get("/openrouter/login", **{"Sec-Fetch-Dest": "image"})
    prefetch = visitor.get("/openrouter/login", Purpose="prefetch")
    landed = visitor.get(emulator.approve(start.location))
    refused = visitor.get("/openrouter/callback")
    status = visitor.get("/openrouter/status")
    gone = visitor.post("/openrouter/disconnect")
    guarded = visitor.get("/guarded")
    script = visitor.get("/guarded", Accept="application/json")
    foreign = visitor.post("/openrouter/disconnect", headers={"Origin": "https://evil.example"})
    for shown in (
        start, background, prefetch, landed, refused, status, gone, guarded, script, foreign
    ):  # fmt: skip
        assert_headers(shown)


@pytest.mark.requirement("R58")
def test_the_policy_of_the_app_s_own_pages_is_left_alone(
    app: Flask, visitor: Visitor, emulator: Emulator
) -> None:
    @app.after_request
    def own_policy(response: Any) -> Any:
        response.headers.setdefault("Content-Security-Policy", "default-src 'self'")
        response.headers.setdefault("X-Frame-Options", "SAMEORIGIN")
        return response

    visitor.connect(emulator)
    for path in ("/", "/guarded"):
        answer = visitor.get(path)
        assert answer.headers["Content-Security-Policy"] == "default-src 'self'"
        assert answer.headers["X-Frame-Options"] == "SAMEORIGIN"
    assert_headers(visitor.get("/openrouter/disconnected"))


@pytest.mark.requirement("R59")
def test_no_address_with_a_code_is_sent_to_other_sites(
    visitor: Visitor, emulator: Emulator
) -> None:
    callback_url = emulator.approve(visitor.start())
    with emulator.faults(status=500, path="/api/v1/auth/keys"):
        failed = visitor.get(callback_url)
    assert failed.status_code == 502
    landed = visitor.connect(emulator)
    declined = visitor.get(emulator.deny(visitor.start()))
    wrong = visitor.get("/openrouter/callback?code=a&state=b")
    for shown in (failed, landed, declined, wrong, visitor.get("/openrouter/login")):
        assert shown.headers["Referrer-Policy"] == "no-referrer"


def test_headers_are_added_to_those_that_are_there(app: Flask) -> None:
    with app.test_request_context("/"):
        answer = app.make_response(("x", {"Vary": "Accept", "X-Own": "1"}))
        protected = protect_page(answer)
        with_scripts = protect_page(app.make_response("x"), scripts=True)
    assert protected is answer
    assert (answer.headers["Vary"], answer.headers["X-Own"]) == ("Accept, Cookie", "1")
    assert "script-src" not in answer.headers["Content-Security-Policy"]
    assert "script-src 'self'" in with_scripts.headers["Content-Security-Policy"]


def test_a_form_may_lead_to_the_site_where_logins_end(make_app: Any) -> None:
    for url, targets in (
        (None, "form-action 'self';"),
        ("/chat", "form-action 'self';"),
        ("https://chat.example:8443/a?b=c", "form-action 'self' https://chat.example:8443;"),
    ):
        app = make_app(OPENROUTER_LOGIN_REDIRECT_URL=url)
        with app.test_request_context("/"):
            answer = protect_page(app.make_response("x"))
        assert targets in answer.headers["Content-Security-Policy"]


@pytest.mark.requirement("W3")
def test_a_redirect_has_a_short_body_without_its_address(app: Flask) -> None:
    """The server hypercorn fails when a response of a WSGI app has no body."""
    with app.test_request_context("/"):
        answer = see_other("https://openrouter.ai/auth?a=b")
    assert (answer.status_code, answer.data) == (303, b"Redirecting.\n")
    assert answer.headers["Location"] == "https://openrouter.ai/auth?a=b"


def test_the_headers_of_the_extension_replace_those_of_the_apps_response_class(
    make_app: Any,
) -> None:
    class Framed(Response):
        def __init__(self, *args: Any, **kwargs: Any) -> None:
            super().__init__(*args, **kwargs)
            self.headers["X-Frame-Options"] = "SAMEORIGIN"
            self.headers["Cache-Control"] = "public, max-age=60"

    app = make_app()
    app.response_class = Framed
    for path in ("/guarded", "/openrouter/login", "/openrouter/status"):
        # Not a test client, whose responses are of this class as well.
        environ = EnvironBuilder(path, headers=NAVIGATE).get_environ()
        _, _, headers = run_wsgi_app(app, environ)
        assert headers.getlist("X-Frame-Options") == ["DENY"], path
        assert headers.getlist("Cache-Control") == ["no-store"], path
