"""Attributes of the session cookie that sign users out."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from cases import case


def test_samesite_none_without_secure_is_a_problem(make_app: Any, diagnose: Any) -> None:
    diagnosis = diagnose(make_app(SESSION_COOKIE_SAMESITE="None"))
    assert diagnosis.bad == {"session_cookie_samesite": "problem"}
    diagnosis.says("session_cookie_samesite", "'None'", "SESSION_COOKIE_SECURE")


def test_an_invalid_samesite_is_a_problem(production: Any, diagnose: Any) -> None:
    """Flask raises as soon as the app writes into its session."""
    for value in ["foo", "", True]:
        with case(value):
            diagnosis = diagnose(production(SESSION_COOKIE_SAMESITE=value))
            assert diagnosis.bad == {"session_cookie_samesite": "problem"}
            diagnosis.says("session_cookie_samesite", f"is {value!r}", "'Lax'")


def test_other_values_of_samesite_are_accepted_on_https(production: Any, diagnose: Any) -> None:
    """With "Strict", the callback is repeated from a page of this site."""
    for value in ["Lax", "lax", "None", None, "Strict", "strict"]:
        with case(value):
            assert diagnose(production(SESSION_COOKIE_SAMESITE=value)).bad == {}


def test_secure_on_plain_http_is_a_problem(make_app: Any, diagnose: Any) -> None:
    url = "http://localhost:5000/openrouter/callback"
    app = make_app(SESSION_COOKIE_SECURE=True, OPENROUTER_CALLBACK_URL=url)
    diagnosis = diagnose(app)
    assert diagnosis.bad == {"session_cookie_secure": "problem"}
    diagnosis.says("session_cookie_secure", "plain http", "SESSION_COOKIE_SECURE = False")


def test_secure_in_development_is_a_warning(make_app: Any, diagnose: Any) -> None:
    """The developer's machine may use https, and no setting tells whether it does."""
    diagnosis = diagnose(make_app(SESSION_COOKIE_SECURE=True))
    assert diagnosis.bad == {"session_cookie_secure": "warning"}


def test_a_session_without_secure_on_https_is_a_warning(production: Any, diagnose: Any) -> None:
    diagnosis = diagnose(production(SESSION_COOKIE_SECURE=False))
    assert diagnosis.bad == {"session_cookie_not_secure": "warning"}
    diagnosis.says("session_cookie_not_secure", "SESSION_COOKIE_SECURE = True")


def test_a_domain_that_does_not_cover_the_callback_is_a_problem(
    production: Any, diagnose: Any
) -> None:
    for domain in ["other.example", "www.app.example", "pp.example"]:
        with case(domain):
            diagnosis = diagnose(production(SESSION_COOKIE_DOMAIN=domain))
            assert diagnosis.bad == {"session_cookie_domain": "problem"}
            diagnosis.says("session_cookie_domain", repr(domain))


def test_a_domain_that_covers_the_callback_is_accepted(production: Any, diagnose: Any) -> None:
    for domain in ["app.example", ".app.example", "APP.example"]:
        with case(domain):
            assert diagnose(production(SESSION_COOKIE_DOMAIN=domain)).bad == {}


def test_a_path_that_does_not_cover_the_callback_is_a_problem(
    production: Any, diagnose: Any
) -> None:
    for setting in ["SESSION_COOKIE_PATH", "APPLICATION_ROOT"]:
        for path in ["/app", "/openroute", "/openrouter/callback/x"]:
            with case(setting, path):
                diagnosis = diagnose(production(**{setting: path}))
                assert diagnosis.bad == {"session_cookie_path": "problem"}
                diagnosis.says("session_cookie_path", repr(path), "/openrouter/callback")


def test_a_path_that_covers_the_callback_is_accepted(production: Any, diagnose: Any) -> None:
    for path in ["/", "/openrouter", "/openrouter/"]:
        with case(path):
            assert diagnose(production(SESSION_COOKIE_PATH=path)).bad == {}


def test_the_callback_path_includes_the_application_root(production: Any, diagnose: Any) -> None:
    app = production(OPENROUTER_CALLBACK_URL=None, APPLICATION_ROOT="/sub")
    assert diagnose(app).bad == {}


def test_a_name_prefix_without_its_attributes_is_a_problem(production: Any, diagnose: Any) -> None:
    for settings in [
        {"SESSION_COOKIE_NAME": "__Host-session", "SESSION_COOKIE_DOMAIN": "app.example"},
        {"SESSION_COOKIE_NAME": "__Host-session", "SESSION_COOKIE_PATH": "/openrouter"},
        {"SESSION_COOKIE_NAME": "__host-session", "SESSION_COOKIE_SECURE": False},
        {"SESSION_COOKIE_NAME": "__Secure-session", "SESSION_COOKIE_SECURE": False},
    ]:
        with case(settings):
            diagnosis = diagnose(production(**settings))
            assert diagnosis.bad["session_cookie_prefix"] == "problem"
            assert set(diagnosis.bad) <= {"session_cookie_prefix", "session_cookie_not_secure"}


def test_a_name_prefix_with_its_attributes_is_accepted(production: Any, diagnose: Any) -> None:
    for name in ["__Host-session", "__Secure-session", "own"]:
        with case(name):
            assert diagnose(production(SESSION_COOKIE_NAME=name)).bad == {}


def test_a_session_shorter_than_a_login_is_a_warning(production: Any, diagnose: Any) -> None:
    app = production(PERMANENT_SESSION_LIFETIME=timedelta(minutes=1))
    diagnosis = diagnose(app)
    assert diagnosis.bad == {"session_lifetime": "warning"}
    diagnosis.says("session_lifetime", "is 60 seconds", "600 seconds or more")
    fitting = {"PERMANENT_SESSION_LIFETIME": 60, "OPENROUTER_LOGIN_MAX_AGE": 60}
    assert diagnose(production(**fitting)).bad == {}
