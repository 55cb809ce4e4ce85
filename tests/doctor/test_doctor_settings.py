"""Each wrong setting is set and found."""

from __future__ import annotations

from functools import partial
from typing import Any

import pytest
from cases import case
from flask import Flask, redirect
from werkzeug.middleware.proxy_fix import ProxyFix

from flask_openrouter import requires_openrouter_key
from flask_openrouter.cli import create_commands


def test_a_correct_app_has_no_findings(production: Any, diagnose: Any) -> None:
    diagnosis = diagnose(production())
    assert diagnosis.bad == {}
    assert (diagnosis.document["problems"], diagnosis.document["warnings"]) == (0, 0)
    assert diagnosis.checks == [
        *("app", "versions", "settings", "secret_key", "provider", "callback_url"),
        *("session_cookie", "login", "callback", "storage", "guards", "workers"),
    ]


def test_an_app_in_development_has_no_findings(make_app: Any, diagnose: Any) -> None:
    assert diagnose(make_app()).bad == {}


def test_views_without_their_function_are_reported(production: Any, diagnose: Any) -> None:
    app = production()
    view = requires_openrouter_key(fallback=True)(lambda: "")
    app.add_url_rule("/try", "try_it", view)
    diagnosis = diagnose(app)
    assert diagnosis.bad == {"fallback_missing": "problem"}
    diagnosis.says("fallback_missing", ": try_it.", "@auth.fallback_key")
    app.extensions["openrouter"].app_functions.fallback_key = lambda: None
    assert diagnose(app).bad == {}


@pytest.mark.parametrize("is_visited", [False, True])
def test_guards_that_stand_too_high_are_reported(
    is_visited: bool, production: Any, diagnose: Any
) -> None:
    """Before the first request, which disables what they do not guard, and after it."""
    app = production()
    app.add_url_rule("/right", "right", requires_openrouter_key(lambda: ""))
    requires_openrouter_key(app.get("/x", endpoint="pages.x")(lambda: ""))
    requires_openrouter_key(app.before_request(lambda: None))
    if is_visited:
        assert app.test_client().get("/x").status_code == 500
    # The function before requests fails for everyone, so for logins as well.
    diagnosis = diagnose(app)
    assert diagnosis.bad["guard_misplaced"] == "problem"
    diagnosis.says(
        "guard_misplaced", ": the view 'pages.x', the function '<lambda>'.", "next to the function"
    )
    assert "right" not in diagnosis.text


# -- settings ------------------------------------------------------------------------------------


def test_settings_that_come_too_late_are_reported(production: Any, diagnose: Any) -> None:
    app = production()
    app.config["SECRET_KEY"] = "another-secret-key-which-came-too-late"
    app.config["OPENROUTER_KEY_LIMIT"] = 5
    diagnosis = diagnose(app)
    assert diagnosis.bad == {"settings_changed": "problem"}
    diagnosis.says("settings_changed", "effect: SECRET_KEY, OPENROUTER_KEY_LIMIT.", "init_app")
    assert "came-too-late" not in diagnosis.text


def test_an_encryption_key_that_comes_too_late_is_reported(production: Any, diagnose: Any) -> None:
    app = production()
    app.config["OPENROUTER_ENCRYPTION_KEY"] = "ICEiIyQlJicoKSorLC0uLzAxMjM0NTY3ODk6Ozw9Pj8="
    diagnose(app).says("settings_changed", "effect: OPENROUTER_ENCRYPTION_KEY.")


def test_a_wrong_setting_that_comes_too_late_is_reported(production: Any, diagnose: Any) -> None:
    app = production()
    app.config["OPENROUTER_KEY_LIMIT"] = "a lot"
    diagnosis = diagnose(app)
    assert diagnosis.bad == {"settings_changed": "problem"}
    diagnosis.says("settings_changed", "OPENROUTER_KEY_LIMIT must be a number")


def test_a_misspelt_setting_is_a_warning(production: Any, diagnose: Any) -> None:
    for name, meant in [
        ("OPENROUTER_CALBACK_URL", "OPENROUTER_CALLBACK_URL"),
        ("OPENROUTER_STORAGE_URL", "OPENROUTER_STORAGE_URI"),
        ("OPENROUTER_ENCRYPTION_KEYS", "OPENROUTER_ENCRYPTION_KEY"),
        ("OPENROUTER_ENCRYPTION_KEY_FALLBACK", "OPENROUTER_ENCRYPTION_KEY_FALLBACKS"),
    ]:
        with case(name, meant):
            diagnosis = diagnose(production(**{name: "hunter2"}))
            assert diagnosis.bad == {"setting_unknown": "warning"}
            diagnosis.says("setting_unknown", f"{name} is not a setting", f"mean {meant},")
            assert "hunter2" not in diagnosis.text


def test_the_app_s_own_settings_are_ignored(production: Any, diagnose: Any) -> None:
    for name in ["OPENROUTER_API_KEY", "OPENROUTER_MODEL", "APP_CALLBACK_URL"]:
        with case(name):
            assert diagnose(production(**{name: "its own"})).bad == {}


def test_a_weak_key_in_development_is_a_warning(make_app: Any, diagnose: Any) -> None:
    for secret in ["dev", "change-me-in-production"]:
        with case(secret):
            diagnosis = diagnose(make_app(SECRET_KEY=secret))
            assert diagnosis.bad == {"secret_key_weak": "warning"}
            diagnosis.says("secret_key_weak", "SECRET_KEY is too easy to guess", "token_hex")


def test_a_weak_key_in_production_is_a_problem(make_app: Any, diagnose: Any) -> None:
    """An app that was created in debug mode and runs without."""
    app = make_app(TESTING=False, DEBUG=True, SECRET_KEY="dev")
    assert diagnose(app).bad["secret_key_weak"] == "problem"


def test_an_emulator_in_production_is_a_problem(production: Any, diagnose: Any) -> None:
    for settings in [
        {"OPENROUTER_EMULATOR": True},
        {"OPENROUTER_EMULATOR": True, "OPENROUTER_BASE_URL": "http://127.0.0.1:18080"},
        {"OPENROUTER_BASE_URL": "https://localhost:18080"},
    ]:
        with case(settings):
            diagnosis = diagnose(production(**settings))
            assert diagnosis.bad == {"emulator_in_production": "problem"}
            diagnosis.says("emulator_in_production", "OPENROUTER_EMULATOR", "OPENROUTER_BASE_URL")


def test_another_provider_is_a_warning(production: Any, diagnose: Any) -> None:
    diagnosis = diagnose(production(OPENROUTER_BASE_URL="https://gateway.example"))
    assert diagnosis.bad == {"other_provider": "warning"}
    diagnosis.says("other_provider", "https://gateway.example")


# -- addresses -----------------------------------------------------------------------------------


def test_a_host_that_no_setting_names_is_a_warning(production: Any, diagnose: Any) -> None:
    diagnosis = diagnose(production(OPENROUTER_CALLBACK_URL=None, TRUSTED_HOSTS=None))
    assert diagnosis.bad == {"host_not_fixed": "warning"}
    diagnosis.says("host_not_fixed", "OPENROUTER_CALLBACK_URL", "TRUSTED_HOSTS", "SERVER_NAME")


def test_a_host_in_a_flask_setting_is_accepted(production: Any, diagnose: Any) -> None:
    for settings in [
        {"SERVER_NAME": "app.example"},
        {"TRUSTED_HOSTS": [".app.example"]},
        {"TRUSTED_HOSTS": ["localhost", "127.0.0.1", "10.0.0.7", "app.example"]},
        {"TRUSTED_HOSTS": ["10.0.0.7", "[fd00::7]"]},
        {"TRUSTED_HOSTS": "app.example"},
    ]:
        with case(settings):
            app = production(**{"OPENROUTER_CALLBACK_URL": None, "TRUSTED_HOSTS": None, **settings})
            assert diagnose(app).bad == {}


@pytest.mark.requirement("M3")
def test_a_host_for_health_checks_is_not_taken_for_the_site(production: Any, diagnose: Any) -> None:
    """Visitors come to the other one by https, so the Secure cookies are right."""
    for hosts in (["localhost", "app.example"], ["127.0.0.1", "[::1]", ".app.example"]):
        with case(hosts):
            app = production(OPENROUTER_CALLBACK_URL=None, TRUSTED_HOSTS=hosts)
            assert diagnose(app).bad == {}


@pytest.mark.requirement("M1")
def test_a_callback_on_the_visitor_s_machine_is_a_problem(
    production: Any, make_app: Any, diagnose: Any
) -> None:
    path = "/openrouter/callback"
    for settings in [
        {"OPENROUTER_CALLBACK_URL": f"http://localhost:5000{path}"},
        {"OPENROUTER_CALLBACK_URL": f"http://127.0.0.1:5000{path}"},
        {"OPENROUTER_CALLBACK_URL": f"https://localhost{path}"},
        {"OPENROUTER_CALLBACK_URL": f"http://[::1]:5000{path}"},
        {"OPENROUTER_CALLBACK_URL": None, "SERVER_NAME": "localhost:5000"},
        {"OPENROUTER_CALLBACK_URL": None, "SERVER_NAME": "app.localhost"},
    ]:
        with case(settings):
            settings |= {"TRUSTED_HOSTS": None, "SESSION_COOKIE_SECURE": False}
            diagnosis = diagnose(production(**settings))
            assert diagnosis.bad["callback_on_this_machine"] == "problem"
            diagnosis.says("callback_on_this_machine", "own machine", "OPENROUTER_CALLBACK_URL")
            assert "callback_on_this_machine" not in diagnose(make_app(**settings)).bad


@pytest.mark.requirement("P7")
def test_trusted_hosts_that_became_a_text_are_named(production: Any, diagnose: Any) -> None:
    """A shell removed the quotes, so the JSON is not one."""
    for text in ("[app.example]", "app.example,www.app.example", "['app.example']"):
        with case(text):
            diagnosis = diagnose(production(TRUSTED_HOSTS=text))
            assert diagnosis.bad == {"trusted_hosts_text": "problem", "login_fails": "problem"}
            diagnosis.says(
                "trusted_hosts_text", "is a text, not a list", """FLASK_TRUSTED_HOSTS='["""
            )


def test_a_callback_url_without_the_route_is_a_problem(production: Any, diagnose: Any) -> None:
    for url in ["https://app.example/callback", "https://app.example"]:
        with case(url):
            diagnosis = diagnose(production(OPENROUTER_CALLBACK_URL=url))
            assert diagnosis.bad == {"callback_path": "problem"}
            diagnosis.says("callback_path", "end with /openrouter/callback", "url_prefix")


def test_a_callback_url_below_a_mount_path_is_accepted(production: Any, diagnose: Any) -> None:
    url = "https://app.example/sub/own/callback"
    assert diagnose(production({"url_prefix": "/own"}, OPENROUTER_CALLBACK_URL=url)).bad == {}


def test_a_login_that_starts_on_another_host_is_a_problem(production: Any, diagnose: Any) -> None:
    diagnosis = diagnose(production(SERVER_NAME="www.app.example"))
    assert diagnosis.bad == {"callback_host": "problem"}
    diagnosis.says("callback_host", "SERVER_NAME is www.app.example", "is on app.example")


def test_two_hosts_that_share_the_session_cookie_are_accepted(
    production: Any, diagnose: Any
) -> None:
    app = production(SERVER_NAME="www.app.example", SESSION_COOKIE_DOMAIN="app.example")
    assert diagnose(app).bad == {}


def test_a_callback_host_that_the_app_refuses_is_a_problem(production: Any, diagnose: Any) -> None:
    diagnosis = diagnose(production(TRUSTED_HOSTS=["other.example"]))
    assert diagnosis.bad == {"callback_host_refused": "problem", "login_fails": "problem"}
    diagnosis.says("callback_host_refused", "does not contain app.example")
    diagnosis.says("login_fails", "HTTP 400")


# -- the login route -----------------------------------------------------------------------------


def test_a_missing_proxy_fix_is_a_warning(production: Any, diagnose: Any) -> None:
    app = production()
    app.wsgi_app = app.wsgi_app.app
    diagnosis = diagnose(app)
    assert diagnosis.bad == {"proxy_fix_missing": "warning"}
    diagnosis.says(
        "proxy_fix_missing", "app.wsgi_app = ProxyFix(app.wsgi_app, x_proto=1, x_host=1)"
    )


def test_a_proxy_fix_for_several_proxies_is_accepted(production: Any, diagnose: Any) -> None:
    for proxies in [1, 2, 3]:
        with case(proxies):
            app = production()
            app.wsgi_app = ProxyFix(app.wsgi_app.app, x_proto=proxies)
            assert diagnose(app).bad == {}


def test_an_app_that_redirects_every_visitor_to_its_sign_in_is_a_warning(
    production: Any, diagnose: Any
) -> None:
    app = production()
    app.before_request(lambda: redirect("/sign-in"))
    diagnosis = diagnose(app)
    assert diagnosis.bad == {"login_redirected": "warning"}
    diagnosis.says("login_redirected", "HTTP 302", "'openrouter'")


def test_an_app_that_intercepts_the_login_route_is_a_problem(
    production: Any, diagnose: Any
) -> None:
    for response, words in [(("", 404), "HTTP 404"), (([], 200), "HTTP 200")]:
        with case(response, words):
            app = production()
            app.before_request(partial(lambda given: given, response))
            diagnosis = diagnose(app)
            assert diagnosis.bad == {"login_fails": "problem"}
            diagnosis.says("login_fails", words)


def test_the_extension_s_error_page_is_reported(production: Any, diagnose: Any) -> None:
    app = production()
    app.extensions["openrouter"].app_functions.owner_loader = lambda: "browser:forged"
    diagnosis = diagnose(app)
    assert diagnosis.bad == {"login_fails": "problem"}
    diagnosis.says("login_fails", "'storage_unavailable'", "Please try again")


def test_the_hints_of_an_error_page_are_the_remedy(production: Any, diagnose: Any) -> None:
    """The JSON that a script would get, here from a function of the app."""
    app = production()

    @app.before_request
    def refuse() -> Any:
        return {"error": "insecure_address"}, 400

    diagnose(app).says("login_fails", "'insecure_address'", "ProxyFix")


@pytest.mark.parametrize("debug", ["0", "1"])
def test_a_login_route_that_raises_is_a_problem(
    debug: str, production: Any, diagnose: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FLASK_DEBUG", debug)
    app = production()
    app.logger.disabled = True

    @app.before_request
    def fail() -> None:
        raise OSError("postgresql://user:hunter2@db")

    diagnosis = diagnose(app)
    assert diagnosis.bad["login_fails"] == "problem"
    diagnosis.says("login_fails", "OSError at" if debug == "1" else "HTTP 500")
    assert "hunter2" not in diagnosis.text


def test_a_login_whose_cookie_is_removed_is_a_problem(production: Any, diagnose: Any) -> None:
    app = production()
    inner = app.wsgi_app

    def without_cookies(environ: Any, start_response: Any) -> Any:
        def start(status: str, headers: list[tuple[str, str]], *rest: Any) -> Any:
            kept = [(name, value) for name, value in headers if name != "Set-Cookie"]
            return start_response(status, kept, *rest)

        return inner(environ, start)

    app.wsgi_app = without_cookies
    diagnosis = diagnose(app)
    assert diagnosis.bad == {"login_cookie_not_sent": "problem"}
    diagnosis.says("login_cookie_not_sent", "no cookie", "middleware")


def test_the_other_checks_run_after_one_fails(production: Any, diagnose: Any) -> None:
    app = production()

    class Broken(type(app.session_interface)):  # type: ignore[misc]
        def get_cookie_path(self, app: Flask) -> str:
            raise OSError("hunter2")

    app.session_interface = Broken()
    diagnosis = diagnose(app)
    assert diagnosis.bad["check_failed"] == "problem"
    diagnosis.says("check_failed", "OSError at", "test_doctor_settings.py")
    assert diagnosis.checks[-1] == "workers"
    assert "hunter2" not in diagnosis.text


def test_an_app_without_the_extension_is_reported() -> None:
    app = Flask("bare")
    app.cli.add_command(create_commands())
    result = app.test_cli_runner().invoke(args=["openrouter", "doctor"])
    assert result.exit_code == 1
    assert "[extension_missing]" in result.output
    assert "auth.init_app(app)" in result.output
