"""The settings of the app's session cookie break no login."""

from __future__ import annotations

import logging
from typing import Any

import pytest
from attack import set_cookies
from visitor import NAVIGATE, Visitor

from flask_openrouter.emulator import Emulator


def test_no_session_cookie_is_reported_at_start_that_harms_nothing(
    make_app: Any, caplog: pytest.LogCaptureFixture
) -> None:
    for value in ("Strict", "strict", "Lax", "None", None):
        make_app(SESSION_COOKIE_SAMESITE=value)
        assert caplog.records == [], value


@pytest.mark.requirement("R28", "F23")
def test_a_strict_session_cookie_does_not_concern_a_login(
    make_app: Any, emulator: Emulator
) -> None:
    visitor = Visitor(make_app(SESSION_COOKIE_SAMESITE="Strict"))
    login = visitor.get("/openrouter/login?next=/guarded")
    for _, attributes in set_cookies(login).values():
        assert attributes["samesite"] == "Lax"
    callback = emulator.approve(login.location)
    landed = visitor.get(callback, **{"Sec-Fetch-Site": "cross-site"})
    assert landed.location == "/guarded"
    assert visitor.key is not None


@pytest.mark.requirement("R28", "F24")
@pytest.mark.parametrize("url", ["http://localhost/openrouter/callback", None])
def test_a_secure_session_cookie_on_http_is_reported_and_harms_no_login(
    make_app: Any, emulator: Emulator, caplog: pytest.LogCaptureFixture, url: str | None
) -> None:
    """At start if the address is configured, or else when the first login begins."""
    with caplog.at_level(logging.WARNING, "flask_openrouter"):
        app = make_app(SESSION_COOKIE_SECURE=True, OPENROUTER_CALLBACK_URL=url)
        if url is None:
            Visitor(app).start()
    assert "SESSION_COOKIE_SECURE" in caplog.text
    for host in ("localhost", "127.0.0.1:5000", "[::1]:5000"):
        visitor = Visitor(app, f"http://{host}" if url is None else "http://localhost")
        login = visitor.get("/openrouter/login?next=/guarded")
        ((name, (_, attributes)),) = set_cookies(login).items()
        assert name.startswith("openrouter.")
        assert "secure" not in attributes
        assert visitor.get(emulator.approve(login.location)).location == "/guarded"


def test_the_page_for_a_login_without_cookies_mentions_them(
    make_app: Any, emulator: Emulator
) -> None:
    app = make_app(SESSION_COOKIE_SAMESITE="Strict", SESSION_COOKIE_SECURE=True)
    callback = emulator.approve(Visitor(app).start())
    page = app.test_client(use_cookies=False).get(callback, headers=NAVIGATE)
    assert page.status_code == 400
    assert "cookie" in page.text
    assert "Strict" not in page.text
    assert page.location is None
