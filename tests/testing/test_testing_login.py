"""The fixtures of the plugin: an emulator for each test, and connected clients."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient
from visitor import fingerprint
from werkzeug.test import TestResponse

from flask_openrouter import OpenRouterAuth, current_openrouter, requires_openrouter_key
from flask_openrouter.errors import NotConnectedError
from flask_openrouter.testing import Emulator, api_key_of, app_config

Login = Callable[..., TestResponse]


def build(config: dict[str, object], **options: Any) -> Flask:
    app = Flask("tested")
    app.config.update(config)
    OpenRouterAuth(app, **options)

    @app.get("/guarded")
    @requires_openrouter_key
    def guarded() -> str:
        return fingerprint(current_openrouter.api_key)

    return app


@pytest.fixture
def app(openrouter_app_config: dict[str, object]) -> Flask:
    return build(openrouter_app_config)


def test_a_connected_client_has_a_key(
    connected_client: FlaskClient, openrouter_emulator: Emulator
) -> None:
    assert connected_client.get("/guarded").text == fingerprint(api_key_of(connected_client))
    assert openrouter_emulator.count("GET", "/auth") == 1
    assert openrouter_emulator.count("POST", "/api/v1/auth/keys") == 1


@pytest.mark.parametrize("visit", ["first", "second"])
def test_each_test_finds_a_new_emulator(openrouter_emulator: Emulator, visit: str) -> None:
    assert openrouter_emulator.requests == []
    assert openrouter_emulator.config.deny_style == "bare"
    openrouter_emulator.configure(deny_style="error")
    openrouter_emulator.add_fault(status=500, times=None)
    openrouter_emulator.advance_clock(3600)
    openrouter_emulator.issue_key()


def test_the_emulator_is_one_for_the_session(
    openrouter_emulator: Emulator, openrouter_emulator_server: Emulator
) -> None:
    assert openrouter_emulator is openrouter_emulator_server


def test_each_app_has_its_own_secret(openrouter_emulator: Emulator) -> None:
    one, other = app_config(openrouter_emulator), app_config(openrouter_emulator)
    assert one["SECRET_KEY"] != other["SECRET_KEY"]
    assert one["OPENROUTER_BASE_URL"] == openrouter_emulator.url


def test_the_config_replaces_a_public_callback_address(
    openrouter_app_config: dict[str, object], openrouter_login: Login
) -> None:
    public = {"OPENROUTER_CALLBACK_URL": "https://app.example/openrouter/callback"}
    openrouter_login(build({**public, **openrouter_app_config}).test_client())


def test_a_login_redirects_to_its_next_url(app: Flask, openrouter_login: Login) -> None:
    response = openrouter_login(app.test_client(), "/guarded?x=1")
    assert (response.status_code, response.location) == (303, "/guarded?x=1")


@pytest.mark.parametrize(
    "base_url", ["https://localhost", "http://localhost:3000", "http://127.0.0.1:8000/below"]
)
def test_a_client_uses_the_given_base_url(
    app: Flask, openrouter_login: Login, base_url: str
) -> None:
    client = app.test_client()
    openrouter_login(client, base_url=base_url)
    api_key = api_key_of(client, base_url=base_url)
    assert client.get("/guarded", base_url=base_url).text == fingerprint(api_key)


def test_an_app_may_live_below_a_path(
    openrouter_app_config: dict[str, object], openrouter_login: Login
) -> None:
    app = build({**openrouter_app_config, "APPLICATION_ROOT": "/below/"}, url_prefix="/keys")
    client = app.test_client()
    openrouter_login(client, "/below/guarded")
    assert client.get("/guarded").text == fingerprint(api_key_of(client))


def test_visitors_have_different_keys(
    app: Flask, connected_client: FlaskClient, openrouter_login: Login
) -> None:
    other = app.test_client()
    openrouter_login(other)
    assert api_key_of(other) != api_key_of(connected_client)


def test_the_key_is_available_in_a_block_of_the_client(connected_client: FlaskClient) -> None:
    api_key = api_key_of(connected_client)
    with connected_client:
        connected_client.get("/guarded")
        assert api_key_of(connected_client) == api_key


def test_without_a_login_there_is_no_key(app: Flask) -> None:
    with pytest.raises(NotConnectedError):
        api_key_of(app.test_client())


def test_a_failed_login_names_the_reason(
    app: Flask, openrouter_emulator: Emulator, openrouter_login: Login
) -> None:
    client = app.test_client()
    with openrouter_emulator.faults(status=500, path="/api/v1/auth/keys", times=None):
        with pytest.raises(AssertionError, match=r"The login failed: .*/callback answered 502"):
            openrouter_login(client)
        assert openrouter_login(client, check=False).status_code == 502
    openrouter_login(client)


def test_a_login_that_does_not_begin_names_the_response(
    app: Flask, openrouter_login: Login
) -> None:
    @app.before_request
    def members_only() -> tuple[str, int, dict[str, str]]:
        return "Members only", 302, {"Location": "/members"}

    with pytest.raises(AssertionError) as failed:
        openrouter_login(app.test_client())
    reason = "/openrouter/login answered 302 FOUND (to /members): Members only"
    assert str(failed.value) == f"The login did not begin: {reason}"


def test_settings_that_came_too_late_are_reported(
    openrouter_app_config: dict[str, object], openrouter_login: Login
) -> None:
    app = build({"SECRET_KEY": openrouter_app_config["SECRET_KEY"]})
    app.config.update(openrouter_app_config)
    with pytest.raises(AssertionError, match=r"to https://openrouter\.ai, not to the emulator"):
        openrouter_login(app.test_client())


def test_an_app_without_the_extension_is_reported(openrouter_login: Login) -> None:
    with pytest.raises(AssertionError, match="no OpenRouter extension"):
        openrouter_login(Flask("bare").test_client())


def test_a_refusal_of_the_emulator_is_reported(app: Flask, openrouter_login: Login) -> None:
    with pytest.raises(ValueError, match="this machine only"):
        openrouter_login(app.test_client(), base_url="https://app.example")
