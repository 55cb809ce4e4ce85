"""The services of an app, and the errors in an app without the extension."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import FrozenInstanceError
from typing import Any

import pytest
from flask import Flask, render_template_string
from jinja2 import UndefinedError

from flask_openrouter import OpenRouterAuth, current_openrouter, requires_openrouter_key
from flask_openrouter.web import get_services


def test_the_services_of_an_app_are_frozen_and_show_no_secret(make_app: Any) -> None:
    secret = "a secret key to be looked for"
    uri = "postgresql+psycopg://me:hunter2@db.example/keys"
    app = make_app(SECRET_KEY=secret)
    services = app.extensions["openrouter"]
    with pytest.raises(FrozenInstanceError):
        services.settings = None
    with pytest.raises(FrozenInstanceError):
        services.settings.base_url = "https://evil.example"
    assert secret not in repr(services)
    settings = make_app(SECRET_KEY=secret, OPENROUTER_STORAGE_URI=uri).extensions["openrouter"]
    assert "hunter2" not in repr(settings)


class TestWithoutInitApp:
    @pytest.fixture
    def bare_app(self) -> Flask:
        app = Flask("bare")
        app.config.update(TESTING=True, SECRET_KEY="0123456789abcdef" * 2)
        app.get("/view")(requires_openrouter_key(lambda: pytest.fail("the view ran")))
        return app

    def test_the_error_names_the_remedy(self, bare_app: Flask) -> None:
        def use_the_proxy() -> None:
            with bare_app.test_request_context():
                _ = current_openrouter.api_key

        def ask_for_an_owner() -> None:
            with bare_app.app_context():
                OpenRouterAuth().for_owner(1)

        def get_them() -> None:
            with bare_app.app_context():
                get_services()

        def visit_a_guarded_view() -> None:
            bare_app.test_client().get("/view")

        actions: list[Callable[[], None]] = [
            use_the_proxy,
            ask_for_an_owner,
            get_them,
            visit_a_guarded_view,
        ]
        for act in actions:
            with pytest.raises(RuntimeError) as raised:
                act()
            assert str(raised.value) == (
                "This app has no OpenRouter extension. Did you forget OpenRouterAuth(app),"
                " or auth.init_app(app) in the app factory?"
            ), act
            assert raised.value.__cause__ is None, act
            assert raised.value.__suppress_context__, act

    def test_a_guarded_view_does_not_open_in_production(self, bare_app: Flask) -> None:
        bare_app.testing = False
        assert bare_app.test_client().get("/view").status_code == 500

    def test_a_template_names_what_is_missing(self, bare_app: Flask) -> None:
        """Jinja's own message does."""
        with (
            bare_app.test_request_context(),
            pytest.raises(UndefinedError, match="openrouter_button"),
        ):
            render_template_string("{{ openrouter_button() }}")
