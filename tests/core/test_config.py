"""Every setting: its default, what it takes, and how a wrong value is named with its remedy."""

from __future__ import annotations

import base64
import logging
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
        request_timeout=15.0,
        key_label=None,
        key_limit=None,
        app_url=None,
        app_title=None,
        app_categories=(),
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


@pytest.mark.parametrize(
    ("name", "value", "field", "expected"),
    [
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
    ],
)
def test_a_good_value_is_taken(name: str, value: Any, field: str, expected: Any) -> None:
    found = getattr(read(**{f"OPENROUTER_{name}": value}), field)
    assert found == (value if expected is ... else expected)
    assert type(found) is not float or field in ("request_timeout", "key_limit")


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


@pytest.mark.parametrize(("name", "value"), [(n, v) for n in WRONG for v in WRONG[n]])
def test_a_wrong_value_is_named_with_its_setting(name: str, value: Any) -> None:
    with pytest.raises(ConfigurationError) as caught:
        read(**{name: value})
    message = str(caught.value)
    assert re.match(rf"{name}\b", message), message
    assert caught.value.__cause__ is None
    # What somebody pasted may hold a password.
    assert not (isinstance(value, str) and len(value) > 30 and value in message)


def test_every_setting_has_wrong_values_here() -> None:
    assert sorted(WRONG) == sorted(NAMES)


def test_fallbacks_without_a_key_are_named() -> None:
    with pytest.raises(ConfigurationError, match="without OPENROUTER_ENCRYPTION_KEY"):
        read(OPENROUTER_ENCRYPTION_KEY_FALLBACKS=[KEY])


@pytest.mark.requirement("R105")
@pytest.mark.parametrize("mode", ["DEBUG", "TESTING", "OPENROUTER_EMULATOR"])
def test_plain_http_on_this_machine_is_for_development(mode: str) -> None:
    config = {"OPENROUTER_BASE_URL": "http://127.0.0.1:3001", mode: True}
    assert read(**config).base_url == "http://127.0.0.1:3001"
    with pytest.raises(ConfigurationError, match="OPENROUTER_EMULATOR = True"):
        read(**{**config, mode: False})


def test_no_mode_allows_plain_http_elsewhere() -> None:
    with pytest.raises(ConfigurationError):
        read(OPENROUTER_BASE_URL="http://a.example", OPENROUTER_EMULATOR=True, DEBUG=True)


def test_a_look_alike_is_answered_with_the_right_name() -> None:
    with pytest.raises(ConfigurationError, match=r"did you mean https://openrouter\.ai"):
        read(OPENROUTER_BASE_URL=f"https://{LOOK_ALIKE}")


def test_another_provider_is_named_in_the_log(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING, "flask_openrouter"):
        for host in ("gateway.example", "localhost:9443"):
            caplog.clear()
            read(OPENROUTER_BASE_URL=f"https://{host}")
            assert f"{host}, not OpenRouter" in caplog.text
        caplog.clear()
        read(OPENROUTER_BASE_URL="http://localhost", TESTING=True)
    assert caplog.text == ""


SAMPLES = [
    # Flask's documentation, as bytes, as text, and with its escapes written out.
    *(b'_5#y2L"F4Q8z\n\xec]/', '_5#y2L"F4Q8z\n\xec]/', r'_5#y2L"F4Q8z\n\xec]/'),
    "A0Zr98j/3yX R~XHH!jmN]LWX/,?RT",
    "192B9BDD22AB9ED4D12E236C78AFCB9A393EC15F71BBF5DC987D54727823BCBF",
    # Tutorials, in books and videos, and other extensions' documentation.
    *("hard to guess string", "Hard_To_Guess_String!", "you-will-never-guess"),
    *("5791628bb0b13ce0c676dfde280ba245", "pf9Wkove4IKEAXvy-cQkeDPhv9Cb3Ag-wyJILbq_dFw"),
    *("your_secret_key_here", "YOUR SECRET KEY HERE", "<your-secret-key>", "my-super-secret-key"),
    *("dev-secret-key-change-in-production", "this is a secret key", "12345678901234567890"),
]


@pytest.mark.parametrize("secret", SAMPLES, ids=ascii)
def test_a_secret_that_is_published_is_refused(secret: str | bytes) -> None:
    with pytest.raises(ConfigurationError, match=r"^SECRET_KEY is too easy to guess"):
        read(SECRET_KEY=secret)


@given(st.integers(16, 32).flatmap(lambda size: st.binary(min_size=size, max_size=size)))
@settings(deadline=None)
def test_random_bytes_are_no_sample(key: bytes) -> None:
    for secret in (key.hex(), base64.b64encode(key), base64.urlsafe_b64encode(key).decode()):
        if len(set(secret)) > 12:
            read(SECRET_KEY=secret)


@pytest.mark.parametrize("number", [12345678901234567890, 1e19])
def test_digits_in_the_environment_are_named_as_what_they_are(
    number: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FLASK_SECRET_KEY", str(number))
    app = Flask("host")
    app.config.from_prefixed_env()
    with pytest.raises(ConfigurationError) as caught:
        Settings.from_config(app.config)
    message = str(caught.value)
    assert message.startswith("SECRET_KEY must hold text or bytes, not a number.")
    assert """FLASK_SECRET_KEY='"1234…"'""" in message
    assert "token_hex" in message
    assert str(number) not in message


def test_digits_in_quotes_are_a_text(monkeypatch: pytest.MonkeyPatch) -> None:
    """The remedy in that message works."""
    monkeypatch.setenv("FLASK_SECRET_KEY", '"82619027730651942375"')
    app = Flask("host")
    app.config.from_prefixed_env()
    assert Settings.from_config(app.config).secret_keys == (b"82619027730651942375",)


def test_the_environment_and_a_key_of_the_app_are_not_read(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """One key for all visitors is what this extension exists to avoid."""
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
def test_no_value_whatsoever_breaks_more_than_the_start(name: str, value: Any) -> None:
    message = name
    try:
        read(**{name: value})
    except ConfigurationError as error:
        message = str(error)
    assert re.match(rf"{name}\b", message)
