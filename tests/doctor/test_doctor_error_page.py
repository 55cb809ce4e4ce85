"""The doctor's findings on the error page of a lost login, in debug mode."""

from __future__ import annotations

from html import unescape
from typing import Any

import pytest
from attack import load_jar, save_jar
from cases import case
from flask.sessions import SecureCookieSessionInterface
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


def signed_out(app: Any) -> str:
    """Return the page for a user who is signed out during the login."""
    user: list[str | None] = ["ada"]
    app.extensions["openrouter"].app_functions.owner_loader = lambda: user[0]
    visitor = Visitor(app)
    callback = visitor.callback_url(visitor.start(), code="a-code")
    user[0] = None
    assert visitor.get(callback).status_code == 200
    text = unescape(visitor.get(callback).text)
    assert "Error signed_out" in text
    return text


def test_a_browser_without_the_cookie_is_explained(debug_app: Any) -> None:
    text = lost(Visitor(debug_app()))
    assert FOR_DEVELOPERS in text
    assert "(login_cookie_absent)" in text
    assert text.index("Try again") < text.index(FOR_DEVELOPERS)


def test_a_cookie_under_another_secret_key_is_explained(debug_app: Any) -> None:
    """As after a restart of an app that generates its key at start."""
    before, after = Visitor(debug_app()), Visitor(debug_app())
    before.start()
    jar = save_jar(before)
    load_jar(after, jar)
    text = lost(after)
    assert "(login_cookie_unreadable)" in text
    assert "another SECRET_KEY" in text
    assert not any(value in text for value in jar.values())


def test_settings_that_sign_the_user_out_are_reported(debug_app: Any) -> None:
    app = debug_app(
        SESSION_COOKIE_SAMESITE="foo",
        SESSION_COOKIE_SECURE=True,
        SESSION_COOKIE_DOMAIN="other.example",
        SESSION_COOKIE_PATH="/app",
    )
    text = signed_out(app)
    for name in ("samesite", "secure", "domain", "path"):
        assert f"(session_cookie_{name})" in text
    assert "SESSION_COOKIE_SECURE = False" in text
    assert "(session_cookie" not in lost(Visitor(app))


def test_settings_that_were_changed_too_late_are_reported(debug_app: Any) -> None:
    app = debug_app()
    app.config["OPENROUTER_KEY_LIMIT"] = 5
    assert "(settings_changed)" in lost(Visitor(app))


def test_a_correct_cookie_has_no_findings(debug_app: Any) -> None:
    visitor = Visitor(debug_app())
    visitor.start()
    assert FOR_DEVELOPERS not in lost(visitor)


def test_the_page_survives_a_check_that_fails(debug_app: Any) -> None:
    class Broken(SecureCookieSessionInterface):
        def get_cookie_samesite(self, app: Any) -> str:
            raise OSError("hunter2")

        def save_session(self, app: Any, session: Any, response: Any) -> None: ...

    app = debug_app()
    app.session_interface = Broken()
    text = signed_out(app)
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
            app = make_app(**{"TESTING": False, **config})
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
