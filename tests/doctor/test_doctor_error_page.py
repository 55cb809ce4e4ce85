"""The error page of a lost login, in debug mode: what the doctor knows without asking anybody."""

from __future__ import annotations

from html import unescape
from typing import Any

import pytest
from flask.sessions import SecureCookieSession, SecureCookieSessionInterface, SessionInterface
from visitor import Visitor

LOST = "/openrouter/callback?state=" + "s" * 43 + "&code=abc"
FOR_DEVELOPERS = "For the developer"


@pytest.fixture
def debug_app(make_app: Any) -> Any:
    return lambda *args, **config: make_app(*args, **{"DEBUG": True, "TESTING": False, **config})


def lost(visitor: Visitor) -> str:
    answer = visitor.get(LOST)
    assert answer.status_code == 400
    text = unescape(answer.text)
    assert "Error unknown" in text
    assert "<script" not in text
    return text


def test_a_browser_without_the_cookie_is_explained(debug_app: Any) -> None:
    text = lost(Visitor(debug_app()))
    assert FOR_DEVELOPERS in text
    assert "(session_cookie_absent)" in text
    assert text.index("Try again") < text.index(FOR_DEVELOPERS)


def test_a_cookie_under_another_secret_key_is_explained(debug_app: Any) -> None:
    """As after a restart of an app that makes its key when it starts."""
    before, after = Visitor(debug_app()), Visitor(debug_app())
    before.start()
    cookie = before.client.get_cookie("session")
    assert cookie is not None
    after.client.set_cookie("session", cookie.value)
    text = lost(after)
    assert "(session_cookie_unreadable)" in text
    assert "another SECRET_KEY" in text
    assert cookie.value not in text


def test_settings_that_lose_the_cookie_are_named(debug_app: Any) -> None:
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


def test_settings_that_were_changed_too_late_are_named(debug_app: Any) -> None:
    app = debug_app()
    app.config["OPENROUTER_KEY_LIMIT"] = 5
    assert "(settings_changed)" in lost(Visitor(app))


def test_a_cookie_that_is_as_it_should_be_gives_nothing_to_say(debug_app: Any) -> None:
    visitor = Visitor(debug_app())
    visitor.start()
    assert FOR_DEVELOPERS not in lost(visitor)


def test_an_interface_without_a_key_is_left_alone(debug_app: Any) -> None:
    class Elsewhere(SecureCookieSessionInterface):
        def get_signing_serializer(self, app: Any) -> None:
            return None

        def open_session(self, app: Any, request: Any) -> SecureCookieSession:
            return SecureCookieSession()

    app = debug_app()
    visitor = Visitor(app)
    visitor.client.set_cookie("session", "an-id")
    app.session_interface = Elsewhere()
    assert FOR_DEVELOPERS not in lost(visitor)


def test_an_interface_that_signs_nothing_is_left_alone(debug_app: Any) -> None:
    class OnServer(SessionInterface):
        def open_session(self, app: Any, request: Any) -> SecureCookieSession:
            return SecureCookieSession()

        def save_session(self, app: Any, session: Any, response: Any) -> None: ...

    app = debug_app()
    app.session_interface = OnServer()
    visitor = Visitor(app)
    visitor.client.set_cookie("session", "an-id")
    assert FOR_DEVELOPERS not in lost(visitor)


def test_a_check_that_fails_does_not_cost_the_page(debug_app: Any) -> None:
    class Broken(SecureCookieSessionInterface):
        def get_cookie_samesite(self, app: Any) -> str:
            raise OSError("hunter2")

        def save_session(self, app: Any, session: Any, response: Any) -> None: ...

    app = debug_app()
    app.session_interface = Broken()
    text = lost(Visitor(app))
    assert "(check_failed)" in text
    assert "hunter2" not in text


def test_nothing_of_the_request_is_on_the_page(debug_app: Any) -> None:
    visitor = Visitor(debug_app(), base_url="http://canary.localhost")
    answer = visitor.client.get(
        LOST.replace("abc", "canary"), base_url="http://canary.localhost", headers={"X": "canary"}
    )
    assert FOR_DEVELOPERS in answer.text
    assert "canary" not in answer.text


@pytest.mark.parametrize("config", [{"TESTING": True}, {"OPENROUTER_EMULATOR": True}], ids=str)
def test_in_production_and_in_tests_the_page_says_nothing_of_it(
    config: dict[str, bool], make_app: Any
) -> None:
    app = make_app(**{"TESTING": False, "SESSION_COOKIE_SAMESITE": "Strict", **config})
    assert FOR_DEVELOPERS not in lost(Visitor(app))


def test_other_problems_are_not_blamed_on_settings(debug_app: Any) -> None:
    visitor = Visitor(debug_app(SESSION_COOKIE_PATH="/openrouter/callback"))
    declined = visitor.callback_url(visitor.start())
    answer = visitor.get("/openrouter/callback?state=a&state=b&code=a")
    assert "Error malformed" in answer.text
    assert FOR_DEVELOPERS not in answer.text
    answer = visitor.get(declined)
    assert "Error declined" in answer.text
    assert FOR_DEVELOPERS not in answer.text


def test_scripts_get_the_json_that_they_know(debug_app: Any) -> None:
    answer = Visitor(debug_app()).get(LOST, Accept="application/json")
    assert set(answer.get_json()) == {"error", "message", "login_url", "reference"}
