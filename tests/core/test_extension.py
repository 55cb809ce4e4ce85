"""``OpenRouterAuth``: how an app gets it, and what is refused at once."""

from __future__ import annotations

import secrets
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


def test_what_belongs_to_an_app_is_one_frozen_object(emulator: Emulator) -> None:
    app = new_app(emulator)
    OpenRouterAuth(app)
    services = app.extensions["openrouter"]
    with pytest.raises(AttributeError):
        services.settings = None
    with pytest.raises(AttributeError):
        services.settings.base_url = "https://evil.example"


def test_an_app_gets_it_once(emulator: Emulator) -> None:
    app = new_app(emulator)
    auth = OpenRouterAuth(app)
    for again in (lambda: auth.init_app(app), lambda: OpenRouterAuth(app)):
        with pytest.raises(ConfigurationError, match="once per app"):
            again()
    assert connected_key(app, emulator)


def test_an_app_whose_settings_are_wrong_gets_nothing(emulator: Emulator) -> None:
    app = new_app(emulator, OPENROUTER_LOGIN_MAX_AGE=0)
    with pytest.raises(ConfigurationError, match="OPENROUTER_LOGIN_MAX_AGE"):
        OpenRouterAuth(app)
    assert "openrouter" not in app.extensions
    assert "openrouter" not in app.blueprints
    app.config["OPENROUTER_LOGIN_MAX_AGE"] = 60
    OpenRouterAuth(app)
    assert connected_key(app, emulator)


def test_an_app_with_a_blueprint_of_our_name_gets_nothing(emulator: Emulator) -> None:
    app = new_app(emulator)
    theirs = Blueprint("openrouter", __name__)
    app.register_blueprint(theirs)
    rules = list(app.url_map.iter_rules())
    with pytest.raises(ConfigurationError) as refused:
        OpenRouterAuth(app)
    assert str(refused.value) == (
        "This app already has a blueprint named 'openrouter'. The routes of this extension need"
        " that name, as in url_for('openrouter.login'). Rename your blueprint."
    )
    assert "openrouter" not in app.extensions
    assert app.blueprints == {"openrouter": theirs}
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
    with pytest.raises(ConfigurationError) as refused:
        OpenRouterAuth(app)
    assert str(refused.value) == (
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


class WithoutDelete:
    def get(self, owner_id: str) -> None: ...
    def set(self, owner_id: str, ciphertext: str) -> None: ...


@pytest.mark.parametrize("storage", [WithoutDelete(), {}, "sqlite:///keys.db", 7, object()])
def test_a_storage_that_is_none_is_refused_by_name(storage: Any) -> None:
    with pytest.raises(ConfigurationError, match=type(storage).__name__):
        OpenRouterAuth(storage=storage)


def test_a_storage_class_instead_of_an_object_is_refused() -> None:
    with pytest.raises(ConfigurationError):
        OpenRouterAuth(storage=MemoryStorage)  # type: ignore[arg-type]


def test_keys_in_the_clear_need_a_storage_of_one_s_own(emulator: Emulator) -> None:
    with pytest.raises(ConfigurationError, match="storage"):
        OpenRouterAuth(encrypt=False)
    storage = MemoryStorage()
    app = new_app(emulator)
    OpenRouterAuth(app, storage=storage, encrypt=False)
    api_key = connected_key(app, emulator)
    (owner_id,) = storage.owner_ids()
    assert api_key in str(storage.get(owner_id))


def test_by_default_a_storage_sees_no_key(emulator: Emulator) -> None:
    storage = MemoryStorage()
    app = new_app(emulator)
    OpenRouterAuth(app, storage=storage)
    api_key = connected_key(app, emulator)
    (owner_id,) = storage.owner_ids()
    assert api_key not in str(storage.get(owner_id))


def test_an_injected_storage_wins_over_the_setting(emulator: Emulator) -> None:
    storage = MemoryStorage()
    app = new_app(emulator, OPENROUTER_STORAGE_URI="memory://")
    OpenRouterAuth(app, storage=storage)
    connected_key(app, emulator)
    assert storage.count_owners() == 1


@pytest.mark.parametrize("prefix", ["", "/", "openrouter", "/a/", "a/b"])
def test_a_prefix_is_a_path(prefix: str) -> None:
    with pytest.raises(ConfigurationError, match="url_prefix"):
        OpenRouterAuth(url_prefix=prefix)


def test_the_routes_live_where_the_app_wants_them(emulator: Emulator) -> None:
    app = new_app(emulator)
    OpenRouterAuth(app, url_prefix="/connect/it")
    visitor = Visitor(app)
    assert visitor.get("/openrouter/login").status_code == 404
    start = visitor.get("/connect/it/login")
    assert "%2Fconnect%2Fit%2Fcallback%3Fstate" in start.location
    assert visitor.get(emulator.approve(start.location)).status_code == 303
    assert visitor.get("/key").text


def test_a_strict_session_cookie_is_named_at_once(
    emulator: Emulator, caplog: pytest.LogCaptureFixture
) -> None:
    for value in ("Strict", "strict"):
        caplog.clear()
        OpenRouterAuth(new_app(emulator, SESSION_COOKIE_SAMESITE=value))
        assert "SESSION_COOKIE_SAMESITE" in caplog.text
    for value in ("Lax", "None", None):
        caplog.clear()
        OpenRouterAuth(new_app(emulator, SESSION_COOKIE_SAMESITE=value))
        assert caplog.records == []


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


def test_flask_login_s_user_owns_the_key(emulator: Emulator) -> None:
    from flask_login import LoginManager, UserMixin, login_user, logout_user

    class User(UserMixin):
        def __init__(self, id: str) -> None:
            self.id = id

    app = new_app(emulator, OPENROUTER_STORAGE_URI="memory://")
    auth = OpenRouterAuth(app)
    manager = LoginManager(app)
    manager.user_loader(User)
    app.add_url_rule("/in/<name>", "in", lambda name: str(login_user(User(name))))
    app.add_url_rule("/out", "out", lambda: str(logout_user()))
    visitor = Visitor(app)
    visitor.get("/in/alice")
    visitor.connect(emulator)
    api_key = visitor.get("/key").text
    assert api_key
    visitor.get("/out")
    assert visitor.get("/key").text == ""
    visitor.get("/in/bob")
    assert visitor.get("/key").text == ""
    other = Visitor(app)
    other.get("/in/alice")
    assert other.get("/key").text == api_key
    with app.app_context():
        assert auth.for_owner("alice").api_key == api_key
