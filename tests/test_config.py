"""Every setting: its default, its valid values, and errors that name the setting and the remedy."""

from __future__ import annotations

import base64
import re
import secrets
from dataclasses import astuple
from typing import Any

import pytest
from flask import Flask
from hypothesis import given, settings
from hypothesis import strategies as st

from flask_openrouter.config import Settings
from flask_openrouter.errors import ConfigurationError

SECRET = secrets.token_hex()
LOOK_ALIKE = "open" + "roouter" + ".ai"
NAMES = [
    "OPENROUTER_BASE_URL",
    "OPENROUTER_CALLBACK_URL",
    "OPENROUTER_STORAGE_URI",
    "OPENROUTER_ENCRYPTION_KEY",
    "OPENROUTER_ENCRYPTION_KEY_FALLBACKS",
    "OPENROUTER_LOGIN_MAX_AGE",
    "OPENROUTER_KEY_MAX_AGE",
    "OPENROUTER_NAMESPACE",
    "OPENROUTER_REQUEST_TIMEOUT",
    "OPENROUTER_KEY_LABEL",
    "OPENROUTER_KEY_LIMIT",
    "OPENROUTER_APP_URL",
    "OPENROUTER_APP_TITLE",
    "OPENROUTER_APP_CATEGORIES",
    "OPENROUTER_LOGIN_REDIRECT_URL",
    "OPENROUTER_DISCONNECT_REDIRECT_URL",
    "OPENROUTER_EMULATOR",
    "SECRET_KEY_FALLBACKS",
]


def read(**config: Any) -> Settings:
    """Read these settings as in production."""
    return Settings.from_config({"SECRET_KEY": SECRET, **config})


def test_the_defaults_are_the_documented_ones(caplog: pytest.LogCaptureFixture) -> None:
    found = read()
    assert found == Settings(
        base_url="https://openrouter.ai",
        callback_url=None,
        storage_uri=None,
        encryption_keys=(SECRET.encode(),),
        secret_keys=(SECRET.encode(),),
        login_max_age=600,
        key_max_age=31 * 86400,
        limits_users=False,
        request_timeout=15.0,
        key_label=None,
        key_limit=None,
        app_url=None,
        app_title=None,
        app_categories=(),
        namespace=None,
        login_redirect_url=None,
        disconnect_redirect_url=None,
        emulator=False,
    )
    assert caplog.text == ""


def test_a_flask_app_without_any_setting_has_these_defaults() -> None:
    app = Flask("host")
    app.secret_key = SECRET
    assert Settings.from_config(app.config) == read()


KEY = base64.urlsafe_b64encode(bytes(range(32))).decode()
OLD_KEY = base64.urlsafe_b64encode(bytes(range(1, 33))).decode()


def test_a_good_value_is_taken() -> None:
    cases: list[tuple[str, Any, str, Any]] = [
        ("BASE_URL", "https://openrouter.ai/api/v1", "base_url", "https://openrouter.ai"),
        ("BASE_URL", "HTTPS://OpenRouter.ai:443/", "base_url", "https://openrouter.ai"),
        ("CALLBACK_URL", "https://a.example/openrouter/callback", "callback_url", ...),
        ("CALLBACK_URL", "http://localhost:3000/openrouter/callback", "callback_url", ...),
        ("STORAGE_URI", "sqlite:///keys.db", "storage_uri", ...),
        ("ENCRYPTION_KEY", KEY, "encryption_keys", (bytes(range(32)),)),
        ("ENCRYPTION_KEY", KEY.encode(), "encryption_keys", (bytes(range(32)),)),
        ("ENCRYPTION_KEY", f"\n{KEY} ", "encryption_keys", (bytes(range(32)),)),
        ("LOGIN_MAX_AGE", 1, "login_max_age", 1),
        ("LOGIN_MAX_AGE", 600.0, "login_max_age", 600),
        ("KEY_MAX_AGE", 10**11, "key_max_age", 10**11),
        ("KEY_MAX_AGE", 60, "limits_users", True),
        ("NAMESPACE", "Shop-1.test_x", "namespace", ...),
        ("NAMESPACE", "x" * 32, "namespace", ...),
        ("REQUEST_TIMEOUT", 0.5, "request_timeout", 0.5),
        ("KEY_LABEL", "x" * 100, "key_label", ...),
        ("KEY_LIMIT", 0, "key_limit", 0),
        ("KEY_LIMIT", 12.5, "key_limit", 12.5),
        ("APP_URL", "https://a.example/", "app_url", ...),
        ("APP_TITLE", "An app", "app_title", ...),
        ("APP_CATEGORIES", ["general-chat"], "app_categories", ("general-chat",)),
        ("APP_CATEGORIES", ("game", "legal"), "app_categories", ("game", "legal")),
        ("APP_CATEGORIES", "game, legal", "app_categories", ("game", "legal")),
        ("APP_CATEGORIES", [], "app_categories", ()),
        ("LOGIN_REDIRECT_URL", "/chat?new=1#top", "login_redirect_url", ...),
        ("LOGIN_REDIRECT_URL", "https://app.example/#/chat", "login_redirect_url", ...),
        ("DISCONNECT_REDIRECT_URL", "/", "disconnect_redirect_url", ...),
        ("EMULATOR", True, "emulator", True),
    ]
    for name, value, field, expected in cases:
        found = getattr(read(**{f"OPENROUTER_{name}": value}), field)
        assert found == (value if expected is ... else expected), (name, value)
        assert type(found) is not float or field in ("request_timeout", "key_limit"), name


def test_all_keys_are_ordered_newest_first() -> None:
    found = read(
        SECRET_KEY_FALLBACKS=["the one before, a long text", b"the very first secret key"],
        OPENROUTER_ENCRYPTION_KEY=KEY,
        OPENROUTER_ENCRYPTION_KEY_FALLBACKS=[OLD_KEY],
    )
    assert found.secret_keys[0] == SECRET.encode()
    assert found.secret_keys[1:] == (b"the one before, a long text", b"the very first secret key")
    assert found.encryption_keys == (bytes(range(32)), bytes(range(1, 33)))


WRONG: dict[str, list[Any]] = {
    "OPENROUTER_BASE_URL": [
        *(None, 7, "", "openrouter.ai", "ftp://openrouter.ai", "https://", "http://a.example"),
        *(f"https://{LOOK_ALIKE}", "http://openrouter.ai", "https://openrouter.ai/v2"),
        *("http://127.0.0.1:3001", "http://localhost", "https://openrouter.ai@a.example"),
    ],
    "OPENROUTER_CALLBACK_URL": [
        *(7, "", " ", "/openrouter/callback", "http://a.example/cb", "javascript:alert(1)"),
        *("https://a.example/cb#x", "https://u@a.example/cb", "https://a.example/cb?code=1"),
        *("https://a.example/cb?state=1", "http://localhost.evil.example/cb", "https://a b/"),
        *("https://a.example/\r\nX: y", "https://[", "https://a.example:99999/"),
    ],
    "OPENROUTER_STORAGE_URI": [7, "", "  ", "sqlite:///a\nb", "x" * 2049, b"sqlite://"],
    "OPENROUTER_ENCRYPTION_KEY": ["", "x", 7, KEY[:-4], KEY + KEY],
    "OPENROUTER_ENCRYPTION_KEY_FALLBACKS": [KEY, KEY.encode(), 7, {"a": KEY}, [KEY]],
    "OPENROUTER_LOGIN_MAX_AGE": [None, "600", True, 0, -1, 0.5, 601, 1e300, float("nan")],
    "OPENROUTER_NAMESPACE": ["a b", "a:b", "a/b", "é", "x" * 33, "a;b", "a=b", True, b"a"],
    "OPENROUTER_KEY_MAX_AGE": [None, "1", False, 0, -1, 1.5, float("inf"), 10**400],
    "OPENROUTER_REQUEST_TIMEOUT": [None, "15", True, 0, -0.1, float("nan"), float("inf"), 10**400],
    "OPENROUTER_KEY_LABEL": [7, "", " ", "a\nb", "x" * 101],
    "OPENROUTER_KEY_LIMIT": ["5", True, -0.01, float("nan"), float("inf"), 10**400],
    "OPENROUTER_APP_URL": [7, "", "a.example", "javascript:x", "https://a.example/\n"],
    "OPENROUTER_APP_TITLE": [7, "", "Ünicode", "a\r\nX: y", "x" * 201],
    "OPENROUTER_APP_CATEGORIES": [
        *(7, True, "chat", ["unknown"], ["game", "legal", "roleplay"], [7], [["game"]]),
        *({"game": 1}, "game,,legal", [None]),
    ],
    "OPENROUTER_LOGIN_REDIRECT_URL": [
        *(7, "", "chat", "//evil.example", "/\\evil.example", "javascript:alert(1)", "http://["),
        *("https://", "http:///chat", "/a\nb", "/\tb", "data:text/html,x", "x" * 2049),
    ],
    "OPENROUTER_DISCONNECT_REDIRECT_URL": ["bye", "//evil.example", "ftp://a.example"],
    "OPENROUTER_EMULATOR": [None, 1, 0, "true", "False", ""],
    "SECRET_KEY_FALLBACKS": ["a text of a good length", b"bytes of a good length", 7, ["short"]],
}


def test_the_error_for_a_wrong_value_names_the_setting() -> None:
    for name, value in [(each, value) for each in WRONG for value in WRONG[each]]:
        with pytest.raises(ConfigurationError) as caught:
            read(**{name: value})
        message = str(caught.value)
        assert re.match(rf"{name}\b", message), (name, value, message)
        assert caught.value.__cause__ is None, (name, value)
        # A value that was pasted by mistake may hold a password.
        is_long = isinstance(value, str) and len(value) > 30
        assert not (is_long and value in message), (name, value)
    assert sorted(WRONG) == sorted(NAMES)


def test_the_error_for_fallbacks_without_a_key_names_the_key() -> None:
    with pytest.raises(ConfigurationError, match="without OPENROUTER_ENCRYPTION_KEY"):
        read(OPENROUTER_ENCRYPTION_KEY_FALLBACKS=[KEY])


def test_the_environment_and_a_key_of_the_app_are_not_read(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """One key for all visitors is what this extension avoids."""
    for name in [*NAMES, "OPENROUTER_API_KEY", "SECRET_KEY"]:
        monkeypatch.setenv(name, "https://evil.example")
    assert read(OPENROUTER_API_KEY="sk-or-v1-of-the-app") == read()
    assert not any("sk-or" in str(value) for value in astuple(read()))


values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.binary(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=2),
    max_leaves=5,
)


@given(st.sampled_from([*NAMES, "SECRET_KEY"]), values)
@settings(deadline=None, max_examples=400)
def test_any_value_is_taken_or_refused_by_the_name_of_its_setting(name: str, value: Any) -> None:
    message = name
    try:
        read(**{name: value})
    except ConfigurationError as error:
        message = str(error)
    assert re.match(rf"{name}\b", message)
