"""Every setting: its default, its valid values, and errors that name the setting and the remedy."""

from __future__ import annotations

import base64
import re
import secrets
from dataclasses import astuple
from datetime import timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID

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
    "OPENROUTER_WORKSPACE_ID",
    "OPENROUTER_REQUIRED_WORKSPACE_ID",
    "OPENROUTER_APP_URL",
    "OPENROUTER_APP_TITLE",
    "OPENROUTER_APP_CATEGORIES",
    "OPENROUTER_LOGIN_REDIRECT_URL",
    "OPENROUTER_DISCONNECT_REDIRECT_URL",
    "OPENROUTER_BUDGET_LOW",
    "OPENROUTER_LANGUAGE",
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
        workspace_id=None,
        required_workspace_id=None,
        app_url=None,
        app_title=None,
        app_categories=(),
        namespace=None,
        login_redirect_url=None,
        disconnect_redirect_url=None,
        budget_low=None,
        language=None,
        emulator=False,
    )
    assert caplog.text == ""


def test_a_flask_app_without_any_setting_has_these_defaults() -> None:
    app = Flask("host")
    app.secret_key = SECRET
    assert Settings.from_config(app.config) == read()


KEY = base64.urlsafe_b64encode(bytes(range(32))).decode()
WORKSPACE = "0b5f0c9e-2c6e-4f2a-9e1b-0d9a2d6b7c11"
OLD_KEY = base64.urlsafe_b64encode(bytes(range(1, 33))).decode()


@pytest.mark.requirement("W13")
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
        ("BUDGET_LOW", 0.5, "budget_low", 0.5),
        ("APP_URL", "https://a.example/", "app_url", ...),
        ("APP_TITLE", "An app", "app_title", ...),
        ("APP_CATEGORIES", ["general-chat"], "app_categories", ("general-chat",)),
        ("APP_CATEGORIES", ("game", "legal"), "app_categories", ("game", "legal")),
        ("APP_CATEGORIES", "game, legal", "app_categories", ("game", "legal")),
        ("APP_CATEGORIES", "game, ", "app_categories", ("game",)),
        ("KEY_LIMIT", Decimal("5.50"), "key_limit", 5.5),
        ("APP_CATEGORIES", [], "app_categories", ()),
        ("LOGIN_REDIRECT_URL", "/chat?new=1#top", "login_redirect_url", ...),
        ("LOGIN_REDIRECT_URL", "https://app.example/#/chat", "login_redirect_url", ...),
        ("DISCONNECT_REDIRECT_URL", "/", "disconnect_redirect_url", ...),
        ("EMULATOR", True, "emulator", True),
        # As environments write them.
        ("EMULATOR", 1, "emulator", True),
        ("EMULATOR", 0, "emulator", False),
        ("EMULATOR", "1", "emulator", True),
        ("EMULATOR", "0", "emulator", False),
        ("EMULATOR", "true", "emulator", True),
        ("EMULATOR", "True", "emulator", True),
        ("EMULATOR", "FALSE", "emulator", False),
        ("EMULATOR", " on ", "emulator", True),
        ("EMULATOR", "no", "emulator", False),
        ("APP_TITLE", 2024, "app_title", "2024"),
        ("KEY_LABEL", 2.5, "key_label", "2.5"),
        ("LOGIN_MAX_AGE", "300", "login_max_age", 300),
        ("LOGIN_MAX_AGE", timedelta(minutes=5), "login_max_age", 300),
        ("KEY_MAX_AGE", timedelta(days=7), "key_max_age", 604800),
        ("REQUEST_TIMEOUT", timedelta(milliseconds=2500), "request_timeout", 2.5),
        ("REQUEST_TIMEOUT", "2.5", "request_timeout", 2.5),
        ("KEY_LIMIT", "5", "key_limit", 5),
        ("BUDGET_LOW", "1.50", "budget_low", 1.5),
        ("BUDGET_LOW", "", "budget_low", None),
        ("WORKSPACE_ID", WORKSPACE, "workspace_id", ...),
        ("WORKSPACE_ID", f" {WORKSPACE.upper()}\n", "workspace_id", WORKSPACE),
        ("REQUIRED_WORKSPACE_ID", UUID(WORKSPACE), "required_workspace_id", WORKSPACE),
        ("APP_CATEGORIES", '["game", "legal"]', "app_categories", ("game", "legal")),
        ("APP_CATEGORIES", "", "app_categories", ()),
    ]
    for name, value, field, expected in cases:
        found = getattr(read(**{f"OPENROUTER_{name}": value}), field)
        assert found == (value if expected is ... else expected), (name, value)
        is_amount = field in ("request_timeout", "key_limit", "budget_low")
        assert type(found) is not float or is_amount, name


@pytest.mark.requirement("W13")
def test_an_empty_value_is_a_setting_that_is_left_out() -> None:
    """``${VARIABLE:-}`` in a compose file makes a variable empty. None removes a default."""
    for value in ("", "  ", None):
        for name in NAMES:
            assert read(**{name: value}) == read(), (name, value)


@pytest.mark.requirement("W13")
def test_older_encryption_keys_may_be_a_text_with_commas_or_json() -> None:
    for value in (
        [OLD_KEY, KEY],
        f"{OLD_KEY},{KEY}",
        f" {OLD_KEY} , {KEY}",
        f'["{OLD_KEY}","{KEY}"]',
    ):
        found = read(OPENROUTER_ENCRYPTION_KEY=KEY, OPENROUTER_ENCRYPTION_KEY_FALLBACKS=value)
        assert found.encryption_keys == (bytes(range(32)), bytes(range(1, 33)), bytes(range(32)))


@pytest.mark.requirement("W13")
def test_an_app_reads_its_settings_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {
        "SECRET_KEY": SECRET + "x",
        "OPENROUTER_EMULATOR": "True",
        "OPENROUTER_BASE_URL": "",
        "OPENROUTER_APP_TITLE": "2024",
        "OPENROUTER_KEY_LIMIT": "5",
        "OPENROUTER_LOGIN_MAX_AGE": "300",
        "OPENROUTER_STORAGE_URI": "null",
    }.items():
        monkeypatch.setenv(f"FLASK_{name}", value)
    app = Flask("host")
    app.config.from_prefixed_env()
    found = Settings.from_config(app.config)
    assert (found.emulator, found.app_title, found.key_limit) == (True, "2024", 5)
    assert (found.login_max_age, found.storage_uri) == (300, None)


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
        *(7, True, "openrouter.ai", "ftp://openrouter.ai", "https://", "http://a.example"),
        *(f"https://{LOOK_ALIKE}", "http://openrouter.ai", "https://openrouter.ai/v2"),
        *("http://127.0.0.1:3001", "http://localhost", "https://openrouter.ai@a.example"),
    ],
    "OPENROUTER_CALLBACK_URL": [
        *(7, "/openrouter/callback", "http://a.example/cb", "javascript:alert(1)"),
        *("https://a.example/cb#x", "https://u@a.example/cb", "https://a.example/cb?code=1"),
        *("https://a.example/cb?state=1", "http://localhost.evil.example/cb", "https://a b/"),
        *("https://a.example/\r\nX: y", "https://[", "https://a.example:99999/"),
    ],
    "OPENROUTER_STORAGE_URI": [True, [7], "sqlite:///a\nb", "x" * 2049, b"sqlite://"],
    "OPENROUTER_ENCRYPTION_KEY": ["x", 7, KEY[:-4], KEY + KEY],
    "OPENROUTER_ENCRYPTION_KEY_FALLBACKS": [KEY, KEY.encode(), 7, {"a": KEY}, [KEY]],
    "OPENROUTER_NAMESPACE": ["a b", "a:b", "a/b", "é", "x" * 33, "a;b", "a=b", True, b"a"],
    "OPENROUTER_LOGIN_MAX_AGE": [
        *("ten minutes", "0", "601", "1e2", "0x10", "\u0661", True, 0, -1, 0.5, 601, 1e300),
        *(float("nan"), timedelta(0), timedelta(seconds=0.5), timedelta(minutes=11), [600]),
    ],
    "OPENROUTER_KEY_MAX_AGE": ["31 days", False, 0, -1, 1.5, float("inf"), 10**400, "9" * 5000],
    "OPENROUTER_REQUEST_TIMEOUT": [
        *("15s", True, 0, -0.1, float("nan"), float("inf"), 10**400, timedelta(seconds=-1)),
    ],
    "OPENROUTER_KEY_LABEL": [True, float("nan"), 10**400, ["a"], b"a", "a\nb", "x" * 101],
    "OPENROUTER_KEY_LIMIT": ["$5", "5,00", True, -0.01, float("nan"), float("inf"), 10**400],
    "OPENROUTER_BUDGET_LOW": ["$1", True, 0, "0", -1, float("nan"), float("inf"), 10**400, [1]],
    "OPENROUTER_WORKSPACE_ID": ["mine", 7, True, [WORKSPACE], WORKSPACE.encode(), WORKSPACE[1:]],
    "OPENROUTER_REQUIRED_WORKSPACE_ID": ["default", f"{WORKSPACE},{WORKSPACE}", 10**400, 1.5],
    "OPENROUTER_APP_URL": [7, "a.example", "javascript:x", "https://a.example/\n"],
    "OPENROUTER_APP_TITLE": [True, "Ünicode", "a\r\nX: y", "x" * 201],
    "OPENROUTER_APP_CATEGORIES": [
        *(7, True, "chat", ["unknown"], ["game", "legal", "roleplay"], [7], [["game"]]),
        *({"game": 1}, "game,,legal", [None], '["game"', '{"game": 1}'),
    ],
    "OPENROUTER_LOGIN_REDIRECT_URL": [
        *(7, "chat", "//evil.example", "/\\evil.example", "javascript:alert(1)", "http://["),
        *("https://", "http:///chat", "/a\nb", "/\tb", "data:text/html,x", "x" * 2049),
    ],
    "OPENROUTER_DISCONNECT_REDIRECT_URL": ["bye", "//evil.example", "ftp://a.example"],
    "OPENROUTER_LANGUAGE": ["it", "zh-TW", "deutsch", "*", True, ["de"], b"de"],
    "OPENROUTER_EMULATOR": [2, -1, 0.5, "maybe", "2", [], b"1"],
    "SECRET_KEY_FALLBACKS": [
        *("a text of a good length", b"bytes of a good length", 7, ["short"]),
        '["a list that is still a text"]',
    ],
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
@settings(max_examples=4 * settings.default.max_examples)
def test_any_value_is_taken_or_refused_by_the_name_of_its_setting(name: str, value: Any) -> None:
    message = name
    try:
        read(**{name: value})
    except ConfigurationError as error:
        message = str(error)
    assert re.match(rf"{name}\b", message)
