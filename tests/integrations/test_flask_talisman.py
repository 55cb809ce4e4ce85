"""Flask-Talisman, as its documentation sets it up: https, and its policy on every page."""

from __future__ import annotations

import re
from typing import Any

import pytest
from flask import Flask
from flask_talisman import GOOGLE_CSP_POLICY, Talisman
from page import add_page
from visitor import Visitor

from flask_openrouter.emulator import Emulator

DEFAULT = "default-src 'self'; object-src 'none'"


@pytest.fixture
def app(make_app: Any) -> Flask:
    app: Flask = make_app(PAGE="{{ openrouter_styles() }}{{ openrouter_button() }}")
    Talisman(app)
    add_page(app)
    return app


@pytest.fixture
def visitor(app: Flask) -> Visitor:
    return Visitor(app, "https://localhost")


def test_a_login_works(visitor: Visitor, emulator: Emulator) -> None:
    assert visitor.connect(emulator, "/guarded").location == "/guarded"
    assert visitor.key is not None
    assert visitor.post("/openrouter/disconnect").status_code == 303
    assert visitor.key is None


def test_plain_http_is_sent_to_https_before_a_login_begins(app: Flask) -> None:
    answer = Visitor(app, "http://localhost").get("/openrouter/login")
    assert answer.location == "https://localhost/openrouter/login"
    assert "Set-Cookie" not in answer.headers


def test_the_pages_of_the_app_keep_its_policy(visitor: Visitor, emulator: Emulator) -> None:
    for _ in range(2):
        assert visitor.get("/page").headers["Content-Security-Policy"] == DEFAULT
        assert visitor.get("/guarded").headers["Content-Security-Policy"] == DEFAULT
        visitor.connect(emulator)


def test_the_pages_of_the_extension_obey_it(visitor: Visitor) -> None:
    """Each page has one policy, and the pages need no more than ``'self'``."""
    for path in (
        "/page",
        *(f"/openrouter/{name}" for name in ("code", "callback", "disconnected")),
    ):
        page = visitor.get(path)
        assert page.headers.get_all("Content-Security-Policy") == [DEFAULT], path
        assert not re.search(r"<style|<script|\sstyle=|\son\w+=", page.text), path
        (style,) = re.findall(r'<link rel="stylesheet" href="(/[^"]+)"', page.text)
        with visitor.get(style) as css:
            assert css.status_code == 200, path


def test_the_address_of_a_callback_is_sent_nowhere(visitor: Visitor) -> None:
    """Talisman's ``Referrer-Policy`` would send it with the style sheet; the page forbids it."""
    page = visitor.get("/openrouter/callback?code=auth_code_secret&state=unknown")
    assert page.headers["Referrer-Policy"] == "strict-origin-when-cross-origin"
    assert '<meta name="referrer" content="no-referrer">' in page.text


def test_another_policy_of_the_app_is_kept(make_app: Any, emulator: Emulator) -> None:
    app: Flask = make_app()
    Talisman(app, content_security_policy=GOOGLE_CSP_POLICY, frame_options="DENY")
    visitor = Visitor(app, "https://localhost")
    assert visitor.connect(emulator).status_code == 303
    page = visitor.get("/openrouter/disconnected")
    policy = page.headers["Content-Security-Policy"]
    assert "style-src 'self'" in policy
    assert visitor.get("/").headers["Content-Security-Policy"] == policy
    assert page.headers["X-Frame-Options"] == "DENY"
