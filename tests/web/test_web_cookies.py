"""The extension's own cookies: what is sent, and with which attributes (RFC 6265bis §4.1.3)."""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from typing import Any

import pytest
from attack import assert_refused, load_jar, save_jar, set_cookies
from flask import Flask
from visitor import Visitor
from werkzeug.test import TestResponse

from flask_openrouter import OpenRouterAuth
from flask_openrouter.emulator import Emulator
from flask_openrouter.web import ExtensionCookie

app = Flask("host")
app.config["SECRET_KEY"] = secrets.token_hex()
OpenRouterAuth(app)
COOKIE = ExtensionCookie(3_600)


@pytest.fixture
def in_request() -> Iterator[None]:
    with app.test_request_context():
        yield


def end_request() -> TestResponse:
    """End the current request, and return its response."""
    return TestResponse(
        (response := app.process_response(app.make_response("x"))).response,
        response.status,
        response.headers,
        None,  # type: ignore[arg-type]
    )


@pytest.mark.usefixtures("in_request")
class TestValue:
    def test_the_last_value_is_read_and_sent_once(self) -> None:
        assert COOKIE.read() is None
        COOKIE.write("one")
        COOKIE.write("two")
        assert COOKIE.read() == "two"
        response = end_request()
        assert len(response.headers.getlist("Set-Cookie")) == 1
        value, attributes = set_cookies(response)["openrouter"]
        assert value == "two"
        assert attributes["max-age"] == "3600"
        assert "Cookie" in response.vary

    def test_an_empty_value_deletes_the_cookie(self) -> None:
        COOKIE.write("one")
        COOKIE.write("")
        assert COOKIE.read() is None
        value, attributes = set_cookies(end_request())["openrouter"]
        assert (value, attributes["max-age"]) == ("", "0")

    def test_a_value_that_browsers_may_drop_is_sent_with_a_warning(self) -> None:
        with pytest.warns(UserWarning, match="cookie is too large"):
            COOKIE.write("x" * 5_000)
        assert set_cookies(end_request())["openrouter"][0] == "x" * 5_000

    def test_reading_sets_nothing(self) -> None:
        COOKIE.read()
        assert "Set-Cookie" not in end_request().headers

    def test_cookies_with_other_suffixes_are_separate(self) -> None:
        other = ExtensionCookie(60, suffix="-other")
        other.write("x")
        assert COOKIE.read() is None
        assert set(set_cookies(end_request())) == {"openrouter-other"}


def test_the_scheme_of_the_request_decides_the_name() -> None:
    both = "openrouter=plain; __Host-openrouter=locked"
    for base_url, value in (("http://a.example", "plain"), ("https://a.example", "locked")):
        with app.test_request_context(base_url=base_url, headers={"Cookie": both}):
            assert COOKIE.read() == value, base_url


@pytest.mark.requirement("R26")
def test_the_cookies_have_every_protecting_attribute(stored_apps: Any, emulator: Emulator) -> None:
    for scheme in ("http", "https"):
        visitor = Visitor(stored_apps(), base_url=f"{scheme}://localhost")
        responses = [visitor.connect(emulator), visitor.post("/openrouter/disconnect")]
        name = "__Host-openrouter" if scheme == "https" else "openrouter"
        for response, is_set in zip(responses, (True, False), strict=True):
            value, attributes = set_cookies(response)[name]
            assert bool(value) is is_set
            assert attributes["path"] == "/"
            assert attributes["samesite"] == "Lax"
            assert "httponly" in attributes
            assert "domain" not in attributes
            assert ("secure" in attributes) is (scheme == "https")
            assert (int(attributes["max-age"]) > 0) is is_set
        assert visitor.key is None


class PlainHTTP:
    """WSGI middleware: requests look as behind a proxy that ends TLS, without ProxyFix."""

    def __init__(self, app: Any) -> None:
        self._app = app

    def __call__(self, environ: dict[str, Any], start_response: Any) -> Any:
        return self._app({**environ, "wsgi.url_scheme": "http"}, start_response)


@pytest.mark.requirement("R26")
@pytest.mark.parametrize("is_session_secure", [False, True])
def test_behind_a_proxy_that_ends_tls_the_cookies_are_secure(
    make_app: Any, emulator: Emulator, is_session_secure: bool
) -> None:
    """The app sees http. Its callback address tells that the browser uses https."""
    app = make_app(
        SESSION_COOKIE_SECURE=is_session_secure,
        OPENROUTER_CALLBACK_URL="https://localhost/openrouter/callback",
    )
    app.wsgi_app = PlainHTTP(app.wsgi_app)
    visitor = Visitor(app, base_url="https://localhost")
    landed = visitor.connect(emulator)
    assert landed.status_code == 303
    cookies = set_cookies(landed)
    of_the_extension = {name for name in cookies if "openrouter" in name}
    assert {"__Host-openrouter"} <= of_the_extension
    for name in of_the_extension:
        assert name.startswith("__Host-")
        assert "secure" in cookies[name][1]
    assert visitor.key is not None


@pytest.mark.requirement("R26")
def test_the_domain_of_the_session_cookie_does_not_widen_the_cookies(
    make_app: Any, emulator: Emulator
) -> None:
    app = make_app(
        SESSION_COOKIE_DOMAIN="localhost",
        SESSION_COOKIE_PATH="/sub",
        SESSION_COOKIE_HTTPONLY=False,
        APPLICATION_ROOT="/",
    )
    visitor = Visitor(app, base_url="https://localhost")
    authorization_url = visitor.start()
    landed = visitor.get(emulator.approve(authorization_url))
    found = {n: c for n, c in set_cookies(landed).items() if n.startswith("__Host-openrouter-")}
    assert len(found) == 2
    for _, attributes in found.values():
        assert attributes["path"] == "/"
        assert {"secure", "httponly"} <= set(attributes)
        assert "domain" not in attributes


@pytest.mark.requirement("R27")
def test_a_sibling_subdomain_cannot_finish_a_login_with_tossed_cookies(
    make_app: Any, emulator: Emulator
) -> None:
    """Their names begin with ``__Host-``, which no other host can set, whatever the app sets."""
    app = make_app()
    at = {"base_url": "https://localhost"}
    attacker, victim = Visitor(app, **at), Visitor(app, **at)
    planted = emulator.approve(attacker.start())
    attacker.get(emulator.approve(attacker.start()))
    own = emulator.approve(victim.start("/own"))
    jar = save_jar(attacker)
    assert len(jar) == 3
    for name, value in jar.items():
        assert name.startswith("__Host-")
        for tossed in (name.removeprefix("__Host-"), name.lower()):
            victim.client.set_cookie(tossed, value, domain="localhost", path="/openrouter")
    assert_refused(victim, emulator, planted)
    assert victim.key is None
    assert victim.get(own).location == "/own"


@pytest.mark.requirement("F26")
def test_another_app_on_this_host_may_use_the_same_cookie_names(
    make_app: Any, emulator: Emulator
) -> None:
    """Ports do not separate cookies: both apps see, and keep, those of the other."""
    one, other = make_app(), make_app(SECRET_KEY=secrets.token_hex())
    visitor, neighbour = Visitor(one), Visitor(other)
    callbacks = []
    for number in range(4):
        callbacks.append(emulator.approve(visitor.start(f"/{number}")))
        load_jar(neighbour, save_jar(visitor))
        callbacks.append(emulator.approve(neighbour.start(f"/{number}")))
        load_jar(visitor, save_jar(neighbour))
    for number, callback in enumerate(callbacks):
        browser = (visitor, neighbour)[number % 2]
        assert browser.get(callback).location == f"/{number // 2}"
