"""The doctor's findings on the error page of a lost login, in debug mode."""

from __future__ import annotations

from html import unescape
from typing import Any

import pytest
from cases import case
from flask.sessions import SecureCookieSession, SecureCookieSessionInterface, SessionInterface
from visitor import Visitor

LOST = "/openrouter/callback?state=" + "s" * 43 + "&code=abc"
FOR_DEVELOPERS = "For the developer"


@pytest.fixture
def debug_app(make_app: Any) -> Any:
    return lambda *args, **config: make_app(*args, **{"DEBUG": True, "TESTING": False, **config})


def lost(visitor: Visitor) -> str:
    response = visitor.get(LOST)
    assert response.status_code == 400
    text = unescape(response.text)
    assert "Error unknown" in text
    assert "<script" not in text
    return text


def test_a_browser_without_the_cookie_is_explained(debug_app: Any) -> None:
    text = lost(Visitor(debug_app()))
    assert FOR_DEVELOPERS in text
    assert "(session_cookie_absent)" in text
    assert text.index("Try again") < text.index(FOR_DEVELOPERS)


def test_a_cookie_under_another_secret_key_is_explained(debug_app: Any) -> None:
    """As after a restart of an app that generates its key at start."""
    before, after = Visitor(debug_app()), Visitor(debug_app())
    before.start()
    cookie = before.client.get_cookie("session")
    assert cookie is not None
    after.client.set_cookie("session", cookie.value)
    text = lost(after)
    assert "(session_cookie_unreadable)" in text
    assert "another SECRET_KEY" in text
    assert cookie.value not in text


def test_settings_that_lose_the_cookie_are_reported(debug_app: Any) -> None:
    app = debug_app(
        SESSION_COOKIE_SAMESITE="Strict",
        SESSION_COOKIE_SECURE=True,
        SESSION_COOKIE_DOMAIN="other.example",
        SESSION_COOKIE_PATH="/app",
    )
    text = lost(Visitor(app))
    for name in ("samesite", "secure", "domain", "path"):
        assert f"(session_cookie_{name})" in text
    assert "SESSION_COOKIE_SECURE = False" in text


def test_settings_that_were_changed_too_late_are_reported(debug_app: Any) -> None:
    app = debug_app()
    app.config["OPENROUTER_KEY_LIMIT"] = 5
    assert "(settings_changed)" in lost(Visitor(app))


def test_a_correct_cookie_has_no_findings(debug_app: Any) -> None:
    visitor = Visitor(debug_app())
    visitor.start()
    assert FOR_DEVELOPERS not in lost(visitor)


def test_a_session_interface_without_a_key_is_not_examined(debug_app: Any) -> None:
    class Keyless(SecureCookieSessionInterface):
        def get_signing_serializer(self, app: Any) -> None:
            return None

        def open_session(self, app: Any, request: Any) -> SecureCookieSession:
            return SecureCookieSession()

    app = debug_app()
    visitor = Visitor(app)
    visitor.client.set_cookie("session", "an-id")
    app.session_interface = Keyless()
    assert FOR_DEVELOPERS not in lost(visitor)


def test_a_session_interface_without_signatures_is_not_examined(debug_app: Any) -> None:
    class OnServer(SessionInterface):
        def open_session(self, app: Any, request: Any) -> SecureCookieSession:
            return SecureCookieSession()

        def save_session(self, app: Any, session: Any, response: Any) -> None: ...

    app = debug_app()
    app.session_interface = OnServer()
    visitor = Visitor(app)
    visitor.client.set_cookie("session", "an-id")
    assert FOR_DEVELOPERS not in lost(visitor)


def test_the_page_survives_a_check_that_fails(debug_app: Any) -> None:
    class Broken(SecureCookieSessionInterface):
        def get_cookie_samesite(self, app: Any) -> str:
            raise OSError("hunter2")

        def save_session(self, app: Any, session: Any, response: Any) -> None: ...

    app = debug_app()
    app.session_interface = Broken()
    text = lost(Visitor(app))
    assert "(check_failed)" in text
    assert "hunter2" not in text


def test_the_page_quotes_nothing_of_the_request(debug_app: Any) -> None:
    visitor = Visitor(debug_app(), base_url="http://canary.localhost")
    response = visitor.client.get(
        LOST.replace("abc", "canary"), base_url="http://canary.localhost", headers={"X": "canary"}
    )
    assert FOR_DEVELOPERS in response.text
    assert "canary" not in response.text


def test_without_debug_mode_the_page_has_no_findings(make_app: Any) -> None:
    for config in [{"TESTING": True}, {"OPENROUTER_EMULATOR": True}]:
        with case(config):
            app = make_app(**{"TESTING": False, "SESSION_COOKIE_SAMESITE": "Strict", **config})
            assert FOR_DEVELOPERS not in lost(Visitor(app))


def test_other_error_pages_have_no_findings(debug_app: Any) -> None:
    visitor = Visitor(debug_app(SESSION_COOKIE_PATH="/openrouter/callback"))
    declined = visitor.callback_url(visitor.start())
    for url, code in (
        ("/openrouter/callback?state=a&state=b&code=a", "malformed"),
        (declined, "declined"),
    ):
        page = visitor.get(url).text
        assert f"Error {code}" in page
        assert FOR_DEVELOPERS not in page


def test_scripts_get_json_without_findings(debug_app: Any) -> None:
    response = Visitor(debug_app()).get(LOST, Accept="application/json")
    assert set(response.get_json()) == {"error", "message", "login_url", "reference"}
