"""I. Host and scheme: visitors come back to this app over https, or on their own machine."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from flask import Flask
from live_app import live, raw_request
from visitor import NAVIGATE, Visitor
from werkzeug.middleware.proxy_fix import ProxyFix
from werkzeug.test import create_environ
from werkzeug.wrappers import Response

from flask_openrouter.errors import ConfigurationError

MakeApp = Callable[..., Flask]

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
    """An answer to a request without a test client, which stumbles over some of these hosts."""

    @property
    def text(self) -> str:
        return self.get_data(as_text=True)


def send(app: Flask, host: str, method: str, path: str, scheme: str, **headers: str) -> Answer:
    """Make a request with this very Host header."""
    sent = {**NAVIGATE, **headers}
    environ = create_environ(path, method=method, base_url=f"{scheme}://app.example", headers=sent)
    environ["HTTP_HOST"] = host.encode().decode("latin-1")
    return Answer.from_app(app, environ, buffered=True)


def login(app: Flask, host: str, scheme: str = "https", **headers: str) -> Answer:
    return send(app, host, "GET", "/openrouter/login", scheme, **headers)


def callback_url(answer: Any) -> str:
    (url,) = parse_qs(urlsplit(answer.location).query)["callback_url"]
    return url


@pytest.mark.requirement("R72")
@pytest.mark.parametrize("settings", FIXED, ids=lambda settings: next(iter(settings)))
def test_no_host_header_steers_the_callback_once_the_host_is_known(
    settings: dict[str, Any], make_app: MakeApp
) -> None:
    app = make_app(**settings, PREFERRED_URL_SCHEME="https")
    for host in HOSTS:
        answer = login(app, host)
        if answer.status_code == 303:
            url = urlsplit(callback_url(answer))
            assert (url.scheme, url.hostname, url.port or 443) == ("https", "app.example", 443), (
                host
            )
            assert url.path == "/openrouter/callback"
        else:
            assert answer.status_code in (400, 404), host
    assert callback_url(login(app, "app.example")).startswith("https://app.example/openrouter/")


@pytest.mark.requirement("R72")
@pytest.mark.parametrize("host", HOSTS)
def test_a_malformed_host_never_becomes_a_callback(host: str, make_app: MakeApp) -> None:
    answer = login(make_app(), host)
    if answer.status_code == 303:
        url = urlsplit(callback_url(answer))
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
@pytest.mark.parametrize("host", HOSTS)
def test_a_malformed_host_breaks_nothing_else(host: str, make_app: MakeApp) -> None:
    app = make_app()
    origin = {"Origin": "https://evil.example", "Sec-Fetch-Site": "same-origin"}
    for method, path, headers in (
        ("GET", "/guarded?a=b", {}),
        ("GET", "/guarded?a=b", {"Accept": "application/json"}),
        ("GET", "/openrouter/callback?state=a&code=b", {}),
        ("GET", "/openrouter/code", {}),
        ("GET", "/openrouter/status", {}),
        ("GET", "/openrouter/disconnected", {}),
        ("POST", "/openrouter/disconnect", {}),
        ("POST", "/openrouter/disconnect", origin),
        ("POST", "/openrouter/save", origin),
    ):
        answer = send(app, host, method, path, "https", **headers)
        assert answer.status_code < 500, (method, path)
        assert "evil" not in answer.headers.get("Location", "")


@pytest.mark.requirement("R72")
@pytest.mark.parametrize("header", FORWARDED)
def test_no_other_header_steers_the_callback(header: str, make_app: MakeApp) -> None:
    answer = login(make_app(), "app.example", **{header: FORWARDED[header]})
    assert callback_url(answer).startswith("https://app.example/openrouter/callback?state=")


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
def test_an_app_that_anybody_may_name_says_so_once(
    make_app: MakeApp, caplog: pytest.LogCaptureFixture
) -> None:
    app = make_app()
    for _ in range(3):
        assert login(app, "app.example").status_code == 303
    assert [r.levelno for r in caplog.records] == [logging.WARNING]
    for remedy in ("OPENROUTER_CALLBACK_URL", "TRUSTED_HOSTS", "SERVER_NAME"):
        assert remedy in caplog.text


@pytest.mark.requirement("R72")
@pytest.mark.parametrize("settings", FIXED, ids=lambda settings: next(iter(settings)))
def test_an_app_that_knows_its_name_is_not_warned(
    settings: dict[str, Any], make_app: MakeApp, caplog: pytest.LogCaptureFixture
) -> None:
    assert login(make_app(**settings), "app.example").status_code == 303
    assert caplog.records == []


@pytest.mark.requirement("R73")
@pytest.mark.parametrize(
    "base_url",
    [
        "http://app.example", "http://localhost.evil.example", "http://127.0.0.1.nip.io",
        "http://0.0.0.0", "http://2130706433", "http://0x7f.0.0.1", "http://127.1", "http://[::]",
        "http://[::ffff:127.0.0.1]", "http://192.168.0.7:5000", "http://10.0.0.1",
        "http://host.docker.internal:3000", "http://my-laptop.local", "http://localhost.",
        "http://127.0.0.1.", "http://128.0.0.1",
    ],
)  # fmt: skip
def test_plain_http_elsewhere_is_refused_with_the_remedy(base_url: str, app: Flask) -> None:
    visitor = Visitor(app, base_url)
    answer = visitor.get("/openrouter/login")
    assert answer.status_code == 400
    assert "Location" not in answer.headers
    assert "Set-Cookie" not in answer.headers
    assert "https" in answer.text
    assert "ProxyFix" in answer.text


@pytest.mark.requirement("R73")
@pytest.mark.parametrize(
    "base_url",
    [
        "http://localhost", "http://localhost:3000", "http://localhost:51423", "http://127.0.0.1:5000",
        "http://127.8.9.10", "http://[::1]:5000", "https://app.example", "https://app.example:8443",
        "https://192.168.0.7", "https://localhost:3000", "https://[2001:db8::1]",
        "https://xn--bcher-kva.example", "http://LOCALHOST:3000", "https://App.Example",
    ],
)  # fmt: skip
def test_https_and_loopback_are_fine(base_url: str, app: Flask) -> None:
    answer = Visitor(app, base_url).get("/openrouter/login")
    assert answer.status_code == 303, answer.text
    assert callback_url(answer).lower().startswith(f"{base_url.lower()}/openrouter/callback?state=")


@pytest.mark.requirement("R73")
def test_behind_a_proxy_with_tls_proxyfix_is_what_helps(make_app: MakeApp) -> None:
    forwarded = {"X-Forwarded-Proto": "https", "X-Forwarded-Host": "app.example"}
    without = make_app()
    answer = login(without, "app.example", scheme="http", **forwarded)
    assert answer.status_code == 400
    assert "ProxyFix" in answer.text
    app = make_app()
    app.wsgi_app = ProxyFix(app.wsgi_app, x_proto=1, x_host=1)  # type: ignore[method-assign]
    answer = login(app, "127.0.0.1:8000", scheme="http", **forwarded)
    assert callback_url(answer).startswith("https://app.example/openrouter/callback?state=")


@pytest.mark.requirement("R73")
@pytest.mark.parametrize(
    "url",
    [
        "http://app.example/openrouter/callback", "http://localhost.evil.example/cb",
        "http://0.0.0.0/cb", "http://2130706433/cb", "//app.example/cb", "app.example/cb", "/cb",
        "javascript:alert(1)", "https://", "https:///cb", "https://app.example/cb#a",
        "https://user@app.example/cb", "https://app.example:99999/cb", "https://app.example\\@x/cb",
        "https://app.example/cb?code=a", "https://app.example/cb?state=a", "https://äpp.example/cb",
        "ftp://app.example/cb", " https://app.example/cb", "https://app.example/cb\n", "", 7, b"x",
    ],
)  # fmt: skip
def test_a_callback_url_that_openrouter_would_refuse_stops_the_app(
    url: object, make_app: MakeApp
) -> None:
    with pytest.raises(ConfigurationError, match="OPENROUTER_CALLBACK_URL"):
        make_app(OPENROUTER_CALLBACK_URL=url)
