"""``OpenRouterAuth``: how an app gets it, and what it refuses at once."""

from __future__ import annotations

import secrets
from collections.abc import Callable
from typing import Any

import pytest
from flask import Blueprint, Flask
from visitor import Visitor

from flask_openrouter import OpenRouterAuth, current_openrouter
from flask_openrouter.emulator import Emulator
from flask_openrouter.errors import ConfigurationError
from flask_openrouter.storage.memory import MemoryStorage
from flask_openrouter.testing import app_config


def new_app(emulator: Emulator, **config: Any) -> Flask:
    app = Flask("site")
    app.config.update(
        TESTING=True, SECRET_KEY=secrets.token_hex(), OPENROUTER_BASE_URL=emulator.url, **config
    )
    app.add_url_rule(
        "/key", "key", lambda: current_openrouter.api_key if current_openrouter else ""
    )
    return app


def message_of(action: Callable[[], object]) -> str:
    """Return the message of the ConfigurationError that this raises."""
    with pytest.raises(ConfigurationError) as raised:
        action()
    return str(raised.value)


def connected_key(app: Flask, emulator: Emulator) -> str:
    visitor = Visitor(app)
    assert visitor.connect(emulator).status_code == 303
    return visitor.get("/key").text


def test_the_factory_pattern(emulator: Emulator) -> None:
    auth = OpenRouterAuth()

    def create_app() -> Flask:
        app = new_app(emulator)
        auth.init_app(app)
        return app

    assert connected_key(create_app(), emulator).startswith("sk-or-v1-")


def test_one_instance_serves_several_apps_that_share_nothing(emulator: Emulator) -> None:
    auth = OpenRouterAuth()
    before = dict(vars(auth))
    apps = [new_app(emulator, OPENROUTER_KEY_LABEL=f"App {n}") for n in range(2)]
    for app in apps:
        auth.init_app(app)
    assert vars(auth) == before
    one, other = (app.extensions["openrouter"] for app in apps)
    assert one is not other
    assert (one.settings.key_label, other.settings.key_label) == ("App 0", "App 1")
    visitor = Visitor(apps[0])
    assert visitor.connect(emulator).status_code == 303
    moved = Visitor(apps[1])
    for cookie in list(visitor.client._cookies.values()):  # type: ignore[attr-defined]
        moved.client.set_cookie(cookie.key, cookie.value)
    assert visitor.get("/key").text
    assert moved.get("/key").text == ""


def test_an_app_gets_it_once(emulator: Emulator) -> None:
    app = new_app(emulator)
    auth = OpenRouterAuth(app)
    for again in (lambda: auth.init_app(app), lambda: OpenRouterAuth(app)):
        assert message_of(again) == (
            "This app already has an OpenRouter extension. Create OpenRouterAuth once per app,"
            " and either pass the app or call init_app."
        )
    assert connected_key(app, emulator)


def test_only_a_flask_app_gets_it() -> None:
    pattern = r"^init_app needs the Flask app, not \w+\. With"
    for app in ("app", Blueprint("site", __name__), Flask):
        with pytest.raises(ConfigurationError, match=pattern):
            OpenRouterAuth(app)  # type: ignore[arg-type]


def test_an_app_whose_settings_are_wrong_gets_nothing(emulator: Emulator) -> None:
    app = new_app(emulator, OPENROUTER_LOGIN_MAX_AGE=0)
    with pytest.raises(ConfigurationError, match="OPENROUTER_LOGIN_MAX_AGE"):
        OpenRouterAuth(app)
    assert "openrouter" not in app.extensions
    assert "openrouter" not in app.blueprints
    app.config["OPENROUTER_LOGIN_MAX_AGE"] = 60
    OpenRouterAuth(app)
    assert connected_key(app, emulator)


def test_an_app_with_a_blueprint_of_the_same_name_gets_nothing(emulator: Emulator) -> None:
    app = new_app(emulator)
    own = Blueprint("openrouter", __name__)
    app.register_blueprint(own)
    rules = list(app.url_map.iter_rules())
    assert message_of(lambda: OpenRouterAuth(app)) == (
        "This app already has a blueprint named 'openrouter'. The routes of this extension need"
        " that name, as in url_for('openrouter.login'). Rename your blueprint."
    )
    assert "openrouter" not in app.extensions
    assert app.blueprints == {"openrouter": own}
    assert list(app.url_map.iter_rules()) == rules
    assert "openrouter" not in app.cli.commands


def test_an_app_that_flask_refuses_to_change_gets_nothing(emulator: Emulator) -> None:
    app = new_app(emulator)
    app.test_client().get("/")
    with pytest.raises(AssertionError, match="register_blueprint"):
        OpenRouterAuth(app)
    assert "openrouter" not in app.extensions


def test_an_app_whose_routes_have_hosts_is_refused(emulator: Emulator) -> None:
    """Werkzeug never finds a route without a host there: the login would be 404."""
    app = Flask("hosts", host_matching=True, static_host="app.example")
    app.config.update(app_config(emulator))
    assert message_of(lambda: OpenRouterAuth(app)) == (
        "With host_matching=True Flask never finds a route without a host, and the routes of"
        " this extension have none. Create the app without it, or move the views that use"
        " OpenRouter into an app of their own."
    )
    assert "openrouter" not in app.extensions


def test_settings_are_read_once(emulator: Emulator) -> None:
    app = new_app(emulator)
    OpenRouterAuth(app)
    app.config["OPENROUTER_BASE_URL"] = "https://evil.example"
    assert Visitor(app).start().startswith(f"{emulator.url}/auth?")


class OnlyGet:
    def get(self, owner_id: str) -> str | None: ...


class WithoutDelete(OnlyGet):
    def set(self, owner_id: str, ciphertext: str) -> None: ...


class AsyncDelete(MemoryStorage):
    async def delete(self, owner_id: str) -> None:  # type: ignore[override]
        super().delete(owner_id)


def test_an_object_that_cannot_be_a_storage_is_refused_by_name() -> None:
    lacking = "storage ({}) lacks {}."
    get, set_, delete = "get(owner_id)", "set(owner_id, ciphertext)", "delete(owner_id)"
    all_three = f"{get}, {set_}, {delete}"
    cases: list[tuple[Any, str]] = [
        (OnlyGet(), lacking.format("OnlyGet", f"{set_}, {delete}")),
        (WithoutDelete(), lacking.format("WithoutDelete", delete)),
        ("sqlite:///keys.db", lacking.format("str", all_three)),
        ({}, lacking.format("dict", f"{set_}, {delete}")),
        (7, lacking.format("int", all_three)),
        (object(), lacking.format("object", all_three)),
        (
            AsyncDelete(),
            "storage (AsyncDelete) has async methods, which are never awaited: get, set and"
            " delete must be plain functions.",
        ),
        (MemoryStorage, "storage is the class MemoryStorage: pass an object."),
    ]
    for storage, message in cases:
        assert message_of(lambda storage=storage: OpenRouterAuth(storage=storage)) == message


def test_encryption_can_be_off_only_with_a_storage_of_the_app(emulator: Emulator) -> None:
    assert message_of(lambda: OpenRouterAuth(encrypt=False)) == (
        "encrypt=False needs a storage of your own that keeps secrets safe: pass storage=…"
    )
    for encrypt in (False, True):
        storage = MemoryStorage()
        app = new_app(emulator)
        OpenRouterAuth(app, storage=storage, encrypt=encrypt)
        api_key = connected_key(app, emulator)
        (owner_id,) = storage.owner_ids()
        assert (api_key in str(storage.get(owner_id))) is not encrypt


def test_an_injected_storage_wins_over_the_setting(emulator: Emulator) -> None:
    storage = MemoryStorage()
    app = new_app(emulator, OPENROUTER_STORAGE_URI="memory://")
    OpenRouterAuth(app, storage=storage)
    connected_key(app, emulator)
    assert storage.count_owners() == 1


def test_a_prefix_is_a_path() -> None:
    for prefix in ("", "/", "openrouter", "/a/", "a/b", "//a", "//a/b", None):
        with pytest.raises(ConfigurationError, match="url_prefix"):
            OpenRouterAuth(url_prefix=prefix)  # type: ignore[arg-type]


def test_the_routes_live_where_the_app_wants_them(emulator: Emulator) -> None:
    app = new_app(emulator)
    OpenRouterAuth(app, url_prefix="/connect/it")
    visitor = Visitor(app)
    assert visitor.get("/openrouter/login").status_code == 404
    start = visitor.get("/connect/it/login")
    assert "%2Fconnect%2Fit%2Fcallback%3Fstate" in start.location
    assert visitor.get(emulator.approve(start.location)).status_code == 303
    assert visitor.get("/key").text


def test_callbacks_are_returned_so_that_they_can_be_called_and_stacked(emulator: Emulator) -> None:
    app = new_app(emulator)
    auth = OpenRouterAuth(app)

    @auth.owner_loader
    async def load() -> str:
        return "alice"

    @auth.unauthorized_handler
    def answer() -> str:
        return "connect"

    assert answer() == "connect"
    assert load.__name__ == "load"
    assert connected_key(app, emulator)


def test_an_unknown_key_option_is_an_error_of_the_login(emulator: Emulator) -> None:
    app = new_app(emulator)
    OpenRouterAuth(app).key_options(lambda: {"limit": 1, "colour": "red"})
    with pytest.raises(
        ValueError,
        match=r"^key_options returns limit, key_label, workspace_id and required_workspace_id,"
        r" nothing else\.$",
    ):
        Visitor(app).get("/openrouter/login")
