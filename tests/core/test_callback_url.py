"""The address to which OpenRouter sends visitors back."""

from __future__ import annotations

import logging
from typing import Any

import pytest

from flask_openrouter.errors import LoginError


def callback_url(app: Any, base_url: str = "https://app.example") -> str:
    with app.test_request_context("/openrouter/login", base_url=base_url):
        url: str = app.extensions["openrouter"].callback_address.for_request()
        return url


def test_it_is_the_callback_route_on_the_request_s_host(make_app: Any) -> None:
    assert callback_url(make_app()) == "https://app.example/openrouter/callback"
    prefixed = make_app({"url_prefix": "/in/here"})
    assert callback_url(prefixed, "https://app.example/sub") == (
        "https://app.example/sub/in/here/callback"
    )


def test_the_setting_wins_over_the_request(make_app: Any) -> None:
    app = make_app(OPENROUTER_CALLBACK_URL="https://app.example/other?x=1")
    for base_url in ("http://evil.example", "https://app.example", "http://localhost"):
        assert callback_url(app, base_url) == "https://app.example/other?x=1"


def test_a_prefix_beyond_ascii_is_encoded(make_app: Any) -> None:
    app = make_app({"url_prefix": "/öffnen"})
    assert callback_url(app) == "https://app.example/%C3%B6ffnen/callback"


@pytest.mark.parametrize("base_url", ["http://app.example", "http://0.0.0.0:5000", "http://[::2]"])
def test_an_address_that_openrouter_would_refuse_is_an_error_with_the_remedy(
    base_url: str, make_app: Any
) -> None:
    with pytest.raises(LoginError, match="ProxyFix") as refused:
        callback_url(make_app(), base_url)
    assert refused.value.reason == "insecure_address"
    assert "OPENROUTER_CALLBACK_URL" in str(refused.value)


@pytest.mark.parametrize(
    ("base_url", "settings", "warnings"),
    [
        ("https://app.example", {}, 1),
        ("https://app.example", {"TRUSTED_HOSTS": ["app.example"]}, 0),
        ("https://app.example", {"SERVER_NAME": "app.example"}, 0),
        ("https://app.example", {"OPENROUTER_CALLBACK_URL": "https://app.example/cb"}, 0),
        ("http://localhost:5000", {}, 0),
        ("http://127.0.0.1:5000", {}, 0),
        ("http://[::1]:5000", {}, 0),
        ("https://localhost", {}, 0),
        ("https://192.168.1.7", {}, 1),
    ],
)
def test_an_app_that_takes_any_host_is_warned_once(
    base_url: str,
    settings: dict[str, Any],
    warnings: int,
    make_app: Any,
    caplog: pytest.LogCaptureFixture,
) -> None:
    app = make_app(**settings)
    for _ in range(3):
        callback_url(app, base_url)
    assert [record.levelno for record in caplog.records] == [logging.WARNING] * warnings


def test_each_app_is_warned_for_itself(make_app: Any, caplog: pytest.LogCaptureFixture) -> None:
    for app in (make_app(), make_app()):
        callback_url(app)
    assert len(caplog.records) == 2


@pytest.mark.parametrize(
    ("base_url", "settings", "is_warned"),
    [
        ("http://localhost:5000", {"SESSION_COOKIE_SECURE": True}, True),
        ("http://localhost:5000", {}, False),
        ("https://localhost", {"SESSION_COOKIE_SECURE": True}, False),
        (
            "https://localhost",
            {
                "SESSION_COOKIE_SECURE": True,
                "OPENROUTER_CALLBACK_URL": "http://localhost:5000/openrouter/callback",
            },
            True,
        ),
    ],
)
def test_a_session_cookie_that_browsers_will_not_keep_is_named_once(
    base_url: str,
    settings: dict[str, Any],
    is_warned: bool,
    make_app: Any,
    caplog: pytest.LogCaptureFixture,
) -> None:
    app = make_app(**settings)
    for _ in range(3):
        callback_url(app, base_url)
    assert [record.levelno for record in caplog.records] == [logging.WARNING] * is_warned
    assert ("SESSION_COOKIE_SECURE" in caplog.text) == is_warned
