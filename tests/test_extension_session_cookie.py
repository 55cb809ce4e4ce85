"""Warnings about a session cookie with which no login can finish."""

from __future__ import annotations

import logging
from typing import Any

import pytest
from visitor import NAVIGATE, Visitor

from flask_openrouter.emulator import Emulator


def test_only_a_strict_session_cookie_is_reported_at_start(
    make_app: Any, caplog: pytest.LogCaptureFixture
) -> None:
    for value in ("Strict", "strict"):
        caplog.clear()
        make_app(SESSION_COOKIE_SAMESITE=value)
        assert "SESSION_COOKIE_SAMESITE" in caplog.text, value
    for value in ("Lax", "None", None):
        caplog.clear()
        make_app(SESSION_COOKIE_SAMESITE=value)
        assert caplog.records == [], value


@pytest.mark.requirement("R28", "F23")
def test_the_page_for_a_login_without_its_strict_session_cookie_names_the_setting(
    make_app: Any, emulator: Emulator, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING, "flask_openrouter"):
        app = make_app(SESSION_COOKIE_SAMESITE="Strict")
    assert "SESSION_COOKIE_SAMESITE" in caplog.text
    assert "Lax" in caplog.text
    visitor = Visitor(app)
    callback = emulator.approve(visitor.start())
    # A browser withholds the cookie on the way from another site, and sends it on a reload.
    page = app.test_client(use_cookies=False).get(callback, headers=NAVIGATE)
    assert page.status_code == 400
    assert "SameSite=Strict" in page.text
    assert "attack" not in page.text
    assert page.location is None
    assert visitor.get(callback).status_code == 303


@pytest.mark.requirement("R28", "F24")
@pytest.mark.parametrize("url", ["http://localhost/openrouter/callback", None])
def test_a_secure_session_cookie_on_http_is_reported(
    make_app: Any, emulator: Emulator, caplog: pytest.LogCaptureFixture, url: str | None
) -> None:
    """At start if the address is configured, or else when the first login begins."""
    with caplog.at_level(logging.WARNING, "flask_openrouter"):
        app = make_app(SESSION_COOKIE_SECURE=True, OPENROUTER_CALLBACK_URL=url)
        if url is None:
            Visitor(app).start()
    assert "SESSION_COOKIE_SECURE" in caplog.text
    visitor = Visitor(app)
    callback = emulator.approve(visitor.start())
    # Some browsers do not keep such a cookie on http; the test client does.
    page = app.test_client(use_cookies=False).get(callback, headers=NAVIGATE)
    assert page.status_code == 400
    assert "Secure" in page.text
    assert page.location is None
