"""The callback address: https or this machine, and not what a forged Host header names."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from cases import case
from flask import Flask
from live_app import live, raw_request
from visitor import NAVIGATE, Visitor
from werkzeug.middleware.proxy_fix import ProxyFix
from werkzeug.test import create_environ
from werkzeug.wrappers import Response

from flask_openrouter import OpenRouterAuth
from flask_openrouter.errors import ConfigurationError, LoginError
from flask_openrouter.pages.urls import login_url_for

HOSTS = (
    "evil.example", "app.example@evil.example", "app.example, evil.example",
    "app.example\\@evil.example", "app.example/@evil.example", "app.example#evil.example",
    "app.example?evil.example", "app.example:443@evil.example", "app.example.evil.example",
    "evil.example:443", "app.example evil.example", "app.example\tevil.example", "", " ", "a b",
    ".", "..", "app.example.", "app.example:", "app.example:99999", "app.example:-1",
    "app.example:a", "app.example:80:80", "app.example%2eevil.example", "app.example%00", "%", "[",
    "[::1", "[]", "[evil.example]", "[::1]evil.example", "<svg>", '"', "'", "ä.example", "\xff",
    "xn--a.example", "0", "0x7f.1", "2130706433", "127.1", "*", "app.example;evil.example",
    "localhost.evil.example", "user:pass@app.example", "x" * 300, "a" * 64 + ".x", "-a.x",
)  # fmt: skip


FIXED = (
    {"OPENROUTER_CALLBACK_URL": "https://app.example/openrouter/callback"},
    {"TRUSTED_HOSTS": ["app.example"]},
    {"SERVER_NAME": "app.example"},
)


FORWARDED = {
    "X-Forwarded-Host": "evil.example",
    "X-Forwarded-Server": "evil.example",
    "X-Forwarded-Proto": "http",
    "X-Forwarded-Port": "81",
    "X-Forwarded-Prefix": "//evil.example",
    "X-Original-Host": "evil.example",
    "X-Host": "evil.example",
    "X-Rewrite-URL": "//evil.example/",
    "Forwarded": "host=evil.example;proto=http",
    "Referer": "https://evil.example/",
    "Origin": "https://evil.example",
}


class Answer(Response):
    """A response without a test client, which cannot send some of these hosts."""

    @property
    def text(self) -> str:
        return self.get_data(as_text=True)


def send(app: Flask, host: str, method: str, path: str, scheme: str, **headers: str) -> Answer:
    """Make a request with exactly this Host header."""
    sent = {**NAVIGATE, **headers}
    environ = create_environ(path, method=method, base_url=f"{scheme}://app.example", headers=sent)
    environ["HTTP_HOST"] = host.encode().decode("latin-1")
    return Answer.from_app(app, environ, buffered=True)


def login(app: Flask, host: str, scheme: str = "https", **headers: str) -> Answer:
    return send(app, host, "GET", "/openrouter/login", scheme, **headers)


def sent_callback(answer: Any) -> str:
    (url,) = parse_qs(urlsplit(answer.location).query)["callback_url"]
    return url


def callback_url(app: Any, base_url: str = "https://app.example") -> str:
    with app.test_request_context("/openrouter/login", base_url=base_url):
        url: str = app.extensions["openrouter"].callback_address.for_request()
        return url


def test_the_callback_address_is_the_route_on_the_host_of_the_request(make_app: Any) -> None:
    assert callback_url(make_app()) == "https://app.example/openrouter/callback"
    prefixed = make_app({"url_prefix": "/in/here"})
    assert callback_url(prefixed, "https://app.example/sub") == (
        "https://app.example/sub/in/here/callback"
    )


def test_the_addresses_follow_each_request_and_not_the_one_before(make_app: MakeApp) -> None:
    app = make_app()
    for _ in range(2):
        for scheme, host in (
            ("https", "one.example"), ("https", "two.example"), ("http", "localhost"),
            ("http", "localhost:81"),
        ):  # fmt: skip
            address = f"{scheme}://{host}/openrouter/callback"
            with case(address):
                assert sent_callback(login(app, host, scheme)).startswith(f"{address}?state=")
    for prefix in ("/one", "/two", ""):
        with app.test_request_context("/", base_url=f"https://one.example{prefix}"):
            assert login_url_for(None) == f"{prefix}/openrouter/login"


def test_an_app_that_makes_its_own_addresses_is_asked_each_time() -> None:
    class Tagged(Flask):
        tag = "one"

        def url_for(self, endpoint: str, /, **values: Any) -> str:
            return f"{super().url_for(endpoint, **values)}?by={self.tag}"

    class Scripted(Flask):
        tag = "one"

        def create_url_adapter(self, request: Any) -> Any:
            adapter = super().create_url_adapter(request)
            if adapter is not None:
                adapter.script_name = f"/{self.tag}/"
            return adapter

    for kind, address in (
        (Tagged, "https://app.example/openrouter/callback?by={}"),
        (Scripted, "https://app.example/{}/openrouter/callback"),
    ):
        app = kind("own")
        app.config.update(SECRET_KEY="k" * 32, TESTING=True)
        OpenRouterAuth(app)
        for tag in ("one", "two"):
            app.tag = tag
            assert callback_url(app) == address.format(tag)


def test_the_setting_wins_over_the_request(make_app: Any) -> None:
    app = make_app(OPENROUTER_CALLBACK_URL="https://app.example/other?x=1")
    for base_url in ("http://evil.example", "https://app.example", "http://localhost"):
        assert callback_url(app, base_url) == "https://app.example/other?x=1"


def test_a_prefix_that_is_not_ascii_is_encoded(make_app: Any) -> None:
    app = make_app({"url_prefix": "/öffnen"})
    assert callback_url(app) == "https://app.example/%C3%B6ffnen/callback"


@pytest.mark.requirement("R72")
def test_no_host_header_changes_the_callback_once_the_host_is_configured(
    make_app: MakeApp,
) -> None:
    for settings in FIXED:
        app = make_app(**settings, PREFERRED_URL_SCHEME="https")
        for host in HOSTS:
            answer = login(app, host)
            with case(settings, host):
                if answer.status_code == 303:
                    url = urlsplit(sent_callback(answer))
                    origin = (url.scheme, url.hostname, url.port or 443)
                    assert origin == ("https", "app.example", 443)
                    assert url.path == "/openrouter/callback"
                else:
                    assert answer.status_code in (400, 404)
        genuine = sent_callback(login(app, "app.example"))
        assert genuine.startswith("https://app.example/openrouter/"), settings


@pytest.mark.requirement("R72")
def test_a_malformed_host_never_becomes_a_callback(make_app: MakeApp) -> None:
    for host in HOSTS:
        answer = login(make_app(), host)
        with case(host):
            if answer.status_code == 303:
                url = urlsplit(sent_callback(answer))
                assert f"{url.scheme}://{url.netloc}" in (
                    f"https://{host}",
                    f"https://{host.removesuffix(':443')}",
                )
                assert url.username is None
                assert url.hostname
            else:
                assert answer.status_code == 400
                assert not host.strip() or len(host) < 3 or host not in answer.text


@pytest.mark.requirement("R72")
def test_a_malformed_host_breaks_no_other_route(make_app: MakeApp) -> None:
    app = make_app()
    origin = {"Origin": "https://evil.example", "Sec-Fetch-Site": "same-origin"}
    requests: list[tuple[str, str, dict[str, str]]] = [
        ("GET", "/guarded?a=b", {}),
        ("GET", "/guarded?a=b", {"Accept": "application/json"}),
        ("GET", "/openrouter/callback?state=a&code=b", {}),
        ("GET", "/openrouter/code", {}),
        ("GET", "/openrouter/status", {}),
        ("GET", "/openrouter/disconnected", {}),
        ("POST", "/openrouter/disconnect", {}),
        ("POST", "/openrouter/disconnect", origin),
        ("POST", "/openrouter/save", origin),
    ]
    for host in HOSTS:
        for method, path, headers in requests:
            with case(host, method, path):
                answer = send(app, host, method, path, "https", **headers)
                assert answer.status_code < 500
                assert "evil" not in answer.headers.get("Location", "")


@pytest.mark.requirement("R72")
def test_no_other_header_changes_the_callback(make_app: MakeApp) -> None:
    for header, value in FORWARDED.items():
        url = sent_callback(login(make_app(), "app.example", **{header: value}))
        assert url.startswith("https://app.example/openrouter/callback?state="), header


@pytest.mark.requirement("R72")
def test_an_absolute_request_line_changes_nothing(make_app: MakeApp) -> None:
    app = make_app(OPENROUTER_CALLBACK_URL="https://app.example/openrouter/callback")
    with live(app) as url:
        for host in ("evil.example", "app.example"):
            request = (
                f"GET http://evil.example/openrouter/login HTTP/1.1\r\nHost: {host}\r\n"
                "Connection: close\r\n\r\n"
            )
            answer = raw_request(url, request.encode())
            status, _, rest = answer.partition(b"\r\n")
            assert status.split()[1] in (b"303", b"400", b"404")
            location = [line for line in rest.split(b"\r\n") if line.startswith(b"Location:")]
            assert b"evil" not in b"".join(location)


@pytest.mark.requirement("R72")
def test_a_second_host_is_not_warned_of_again(
    make_app: MakeApp, caplog: pytest.LogCaptureFixture
) -> None:
    app = make_app(SESSION_COOKIE_SECURE=True)
    for base_url in ("https://a.example", "https://b.example", "https://a.example"):
        assert Visitor(app, base_url).get("/openrouter/login").status_code == 303
    assert len(caplog.records) == 1
    for port in (5000, 5001, 5000):
        assert Visitor(app, f"http://localhost:{port}").get("/openrouter/login").status_code == 303
    assert len(caplog.records) == 2
    assert "SESSION_COOKIE_SECURE" in caplog.text


def test_an_app_that_accepts_any_host_is_warned_once(
    make_app: MakeApp, caplog: pytest.LogCaptureFixture
) -> None:
    configured = {"OPENROUTER_CALLBACK_URL": "https://app.example/cb"}
    cases: list[tuple[str, dict[str, Any], int]] = [
        ("https://app.example", {}, 1),
        *(("https://app.example", settings, 0) for settings in (*FIXED, configured)),
        ("http://localhost:5000", {}, 0),
        ("http://127.0.0.1:5000", {}, 0),
        ("http://[::1]:5000", {}, 0),
        ("https://localhost", {}, 0),
        ("https://192.168.1.7", {}, 1),
    ]
    for base_url, settings, warnings in cases:
        app = make_app(**settings)
        caplog.clear()
        for _ in range(3):
            answer = Visitor(app, base_url).get("/openrouter/login")
            assert answer.status_code == 303, (base_url, settings)
        levels = [record.levelno for record in caplog.records]
        assert levels == [logging.WARNING] * warnings, (base_url, settings)
        for remedy in ("OPENROUTER_CALLBACK_URL", "TRUSTED_HOSTS", "SERVER_NAME"):
            assert (remedy in caplog.text) == bool(warnings)


def test_each_app_is_warned(make_app: Any, caplog: pytest.LogCaptureFixture) -> None:
    for app in (make_app(), make_app()):
        callback_url(app)
    assert len(caplog.records) == 2


def test_a_session_cookie_that_browsers_drop_is_logged_once(
    make_app: MakeApp, caplog: pytest.LogCaptureFixture
) -> None:
    secure = {"SESSION_COOKIE_SECURE": True}
    plain_callback = {"OPENROUTER_CALLBACK_URL": "http://localhost:5000/openrouter/callback"}
    cases: list[tuple[str, dict[str, Any], bool]] = [
        ("http://localhost:5000", secure, True),
        ("http://localhost:5000", {}, False),
        ("https://localhost", secure, False),
        ("https://localhost", {**secure, **plain_callback}, True),
    ]
    for base_url, settings, is_warned in cases:
        caplog.clear()
        app = make_app(**settings)
        for _ in range(3):
            callback_url(app, base_url)
        levels = [record.levelno for record in caplog.records]
        assert levels == [logging.WARNING] * is_warned, (base_url, settings)
        assert ("SESSION_COOKIE_SECURE" in caplog.text) == is_warned, (base_url, settings)


REFUSED_BASES = (
    "http://app.example", "http://localhost.evil.example", "http://127.0.0.1.nip.io",
    "http://0.0.0.0", "http://2130706433", "http://0x7f.0.0.1", "http://127.1", "http://[::]",
    "http://[::ffff:127.0.0.1]", "http://192.168.0.7:5000", "http://10.0.0.1",
    "http://host.docker.internal:3000", "http://my-laptop.local", "http://localhost.",
    "http://127.0.0.1.", "http://128.0.0.1", "http://0.0.0.0:5000", "http://[::2]",
)  # fmt: skip


@pytest.mark.requirement("R73")
def test_plain_http_elsewhere_is_refused_with_the_remedy(app: Flask) -> None:
    for base_url in REFUSED_BASES:
        answer = Visitor(app, base_url).get("/openrouter/login")
        assert answer.status_code == 400, base_url
        assert "Location" not in answer.headers, base_url
        assert "Set-Cookie" not in answer.headers, base_url
        assert "https" in answer.text, base_url
        assert "ProxyFix" in answer.text, base_url
        with case(base_url), pytest.raises(LoginError, match="ProxyFix") as refused:
            callback_url(app, base_url)
        assert refused.value.reason == "insecure_address"
        assert "OPENROUTER_CALLBACK_URL" in str(refused.value)


ACCEPTED_BASES = (
    "http://localhost", "http://localhost:3000", "http://localhost:51423", "http://127.0.0.1:5000",
    "http://127.8.9.10", "http://[::1]:5000", "https://app.example", "https://app.example:8443",
    "https://192.168.0.7", "https://localhost:3000", "https://[2001:db8::1]",
    "https://xn--bcher-kva.example", "http://LOCALHOST:3000", "https://App.Example",
)  # fmt: skip


@pytest.mark.requirement("R73")
def test_https_and_loopback_are_accepted(make_app: MakeApp) -> None:
    for base_url in ACCEPTED_BASES:
        answer = Visitor(make_app(), base_url).get("/openrouter/login")
        assert answer.status_code == 303, (base_url, answer.text)
        expected = f"{base_url.lower()}/openrouter/callback?state="
        assert sent_callback(answer).lower().startswith(expected), base_url


@pytest.mark.requirement("R73")
def test_proxyfix_helps_behind_a_proxy_that_ends_tls(make_app: MakeApp) -> None:
    forwarded = {"X-Forwarded-Proto": "https", "X-Forwarded-Host": "app.example"}
    without = make_app()
    answer = login(without, "app.example", scheme="http", **forwarded)
    assert answer.status_code == 400
    assert "ProxyFix" in answer.text
    app = make_app()
    app.wsgi_app = ProxyFix(app.wsgi_app, x_proto=1, x_host=1)  # type: ignore[method-assign]
    answer = login(app, "127.0.0.1:8000", scheme="http", **forwarded)
    assert sent_callback(answer).startswith("https://app.example/openrouter/callback?state=")


REFUSED_CALLBACKS = (
    "http://app.example/openrouter/callback", "http://localhost.evil.example/cb",
    "http://0.0.0.0/cb", "http://2130706433/cb", "//app.example/cb", "app.example/cb", "/cb",
    "javascript:alert(1)", "https://", "https:///cb", "https://app.example/cb#a",
    "https://user@app.example/cb", "https://app.example:99999/cb", "https://app.example\\@x/cb",
    "https://app.example/cb?code=a", "https://app.example/cb?state=a", "https://äpp.example/cb",
    "ftp://app.example/cb", " https://app.example/cb", "https://app.example/cb\n", True, 7, b"x",
)  # fmt: skip


@pytest.mark.requirement("R73")
def test_a_configured_callback_that_openrouter_would_refuse_is_an_error(make_app: MakeApp) -> None:
    for url in REFUSED_CALLBACKS:
        with case(url), pytest.raises(ConfigurationError, match="OPENROUTER_CALLBACK_URL"):
            make_app(OPENROUTER_CALLBACK_URL=url)


MakeApp = Callable[..., Flask]
