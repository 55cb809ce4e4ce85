"""The trial visits to the login and to the callback, and sessions that need a request."""

from __future__ import annotations

import sys
from typing import Any

import pytest
from cases import case
from flask import Flask, abort, redirect, request
from flask.sessions import SecureCookieSessionInterface

from example_app import create_app
from flask_openrouter.doctor.finding import location_of
from flask_openrouter.doctor.public_suffixes import is_public_suffix


@pytest.mark.requirement("M8")
def test_a_callback_that_the_app_refuses_is_a_problem(production: Any, diagnose: Any) -> None:
    def forbid() -> Any:
        abort(403)

    def send_away() -> Any:
        return redirect("/sign-in")

    def answer() -> Any:
        return {"error": "origin_missing"}, 400

    for refusal, words in [(forbid, "HTTP 403"), (send_away, "HTTP 302"), (answer, "HTTP 400")]:
        with case(words):
            app = production()

            @app.before_request
            def refuse(refusal: Any = refusal) -> Any:
                return refusal() if request.endpoint == "openrouter.callback" else None

            diagnosis = diagnose(app)
            assert diagnosis.bad == {"callback_fails": "problem"}
            diagnosis.says("callback_fails", words, "'openrouter'")


@pytest.mark.requirement("M8")
def test_a_hook_that_refuses_codes_only_is_found(production: Any, diagnose: Any) -> None:
    app = production()

    @app.before_request
    def refuse() -> Any:
        return ("", 403) if "code" in request.args else None

    assert diagnose(app).bad == {"callback_fails": "problem"}


def test_one_reason_is_reported_once(production: Any, diagnose: Any) -> None:
    """Here the app refuses every visitor who is not signed in."""
    app = production()
    app.before_request(lambda: redirect("/sign-in"))
    assert diagnose(app).bad == {"login_redirected": "warning"}


@pytest.mark.requirement("M4")
def test_an_app_that_ends_the_process_while_it_answers_is_a_problem(
    production: Any, diagnose: Any
) -> None:
    for path, code in [("login", "login_fails"), ("callback", "callback_fails")]:
        with case(path):
            app = production()

            @app.before_request
            def leave(path: str = path) -> None:
                if request.path.endswith(path):
                    sys.exit(0)

            diagnosis = diagnose(app)
            assert diagnosis.bad == {code: "problem"}
            diagnosis.says(code, "raises SystemExit at ", "test_doctor_visit.py")


@pytest.mark.requirement("M4")
def test_a_check_that_ends_the_process_is_a_problem(production: Any, diagnose: Any) -> None:
    class Leaving:
        def get(self, owner_id: str) -> str | None:
            sys.exit(0)

        def set(self, owner_id: str, ciphertext: str) -> None: ...

        def delete(self, owner_id: str) -> None: ...

    diagnosis = diagnose(production({"storage": Leaving()}))
    assert diagnosis.bad == {"check_failed": "problem"}
    diagnosis.says("check_failed", "SystemExit at", "test_doctor_visit.py")


class _NeedsARequest(SecureCookieSessionInterface):
    """As that of the example app: the name and Secure depend on the scheme."""

    def get_cookie_name(self, app: Flask) -> str:
        return f"__Host-{app.name}" if request.is_secure else app.name

    def get_cookie_secure(self, app: Flask) -> bool:
        return request.is_secure

    def get_cookie_domain(self, app: Flask) -> str | None:
        return None if request.is_secure else super().get_cookie_domain(app)


@pytest.mark.requirement("P2")
def test_a_session_that_needs_a_request_gets_one(
    production: Any, make_app: Any, diagnose: Any
) -> None:
    app = production()
    app.session_interface = _NeedsARequest()
    assert diagnose(app).bad == {}
    app = make_app(OPENROUTER_CALLBACK_URL="http://localhost:5000/openrouter/callback")
    app.session_interface = _NeedsARequest()
    assert diagnose(app).bad == {}


@pytest.mark.requirement("P2")
def test_the_example_app_passes_the_doctor(tmp_path: Any, diagnose: Any) -> None:
    app = create_app(
        {
            "SECRET_KEY": "0f1e2d3c4b5a69788796a5b4c3d2e1f0",
            "CHAT_DATABASE": str(tmp_path / "chat.db"),
            "CHAT_PROXIES": 1,
            "OPENROUTER_CALLBACK_URL": "https://app.example/openrouter/callback",
            "TRUSTED_HOSTS": ["app.example"],
            "SESSION_COOKIE_SECURE": True,
        }
    )
    assert diagnose(app).bad == {}


@pytest.mark.requirement("P2")
def test_the_app_s_own_line_is_named_and_not_that_of_a_library() -> None:
    def own_function() -> None:
        _ = request.path

    with pytest.raises(RuntimeError) as caught:
        own_function()
    assert location_of(caught.value).startswith(f"{__file__}:")
    assert location_of(ValueError()) == "?:0"


@pytest.mark.requirement("M8")
def test_a_domain_for_everyone_is_no_domain_for_cookies(production: Any, diagnose: Any) -> None:
    for domain, host in [
        ("herokuapp.com", "shop.herokuapp.com"),
        ("co.uk", "shop.co.uk"),
        (".com.au", "shop.com.au"),
        ("com", "shop.com"),
        ("github.io", "shop.github.io"),
    ]:
        with case(domain):
            app = production(
                SESSION_COOKIE_DOMAIN=domain,
                OPENROUTER_CALLBACK_URL=f"https://{host}/openrouter/callback",
                TRUSTED_HOSTS=[host],
            )
            diagnosis = diagnose(app)
            assert diagnosis.bad == {"session_cookie_domain": "problem"}
            diagnosis.says("session_cookie_domain", "anyone", "your own")


def test_a_domain_of_one_s_own_is_fine() -> None:
    for domain in (
        "",
        "localhost",
        "shop.herokuapp.com",
        "shop.co.uk",
        "co.example",
        "uk.com.shop",
    ):
        with case(domain):
            assert not is_public_suffix(domain)
