"""The exact messages about wrong settings and arguments of OpenRouterAuth."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from cases import case
from flask import Flask
from settings_page import SECRET, names_in_the_code

from flask_openrouter import OpenRouterAuth
from flask_openrouter.errors import ConfigurationError

_CALLBACK = (
    "must be the full https address of the callback route, such as"
    " https://app.example/openrouter/callback (http only on localhost), without fragment."
)
_TEXT = "must be text on one line, or be left out."
_RANDOM = 'Make one with: python -c "import secrets; print(secrets.token_hex())"'
#: What follows the prefix ``OPENROUTER_``, a value, and the rest of the message.
REFUSED: list[tuple[str, Any, str]] = [
    (
        "STORAGE_URI",
        "keys.db",
        ": this is no URI. Write, for example, sqlite:///keys.db, postgresql+psycopg://…,"
        " redis://… or memory://",
    ),
    (
        "STORAGE_URI",
        "sqlite://keys.db",
        ": SQLAlchemy does not take this database URL. Write sqlite:///keys.db (three slashes)"
        " or dialect+driver://user:password@host/database, with special characters of the"
        " password percent-encoded.",
    ),
    (
        "STORAGE_URI",
        "sqlite:////no/such/keys.db",
        ": The folder '/no/such' of the SQLite database does not exist. Create it, or name"
        " another file.",
    ),
    (
        "STORAGE_URI",
        "postgresql+asyncpg://host/keys",
        ": The database driver 'asyncpg' is asynchronous. Use a synchronous one, as in"
        " postgresql+psycopg://…",
    ),
    (
        "ENCRYPTION_KEY",
        "short",
        " must be 32 bytes in URL-safe base64 (44 characters). Make one with: flask openrouter"
        " generate-key",
    ),
    (
        "ENCRYPTION_KEY",
        "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=",
        " repeats a few bytes, so it can be guessed. Make a random one with: flask openrouter"
        " generate-key",
    ),
    (
        "ENCRYPTION_KEY_FALLBACKS",
        ["a key"],
        " is set without OPENROUTER_ENCRYPTION_KEY. Set the new key; the fallbacks only decrypt.",
    ),
    ("KEY_MAX_AGE", "31 days", " must be a number, such as 10, or be left out."),
    ("KEY_MAX_AGE", timedelta(days=999_999_999), " must be at most 1000000000000 seconds."),
    ("KEY_MAX_AGE", 0, " must be more than 0 seconds."),
    ("KEY_MAX_AGE", 0.5, " must be a whole number of seconds."),
    ("NAMESPACE", "my shop", " must be 1 to 32 letters, digits, dots, dashes or underscores."),
    (
        "CALLBACK_URL",
        "http://app.example/openrouter/callback",
        " must be the full https address of the callback route, such as"
        " https://app.example/openrouter/callback (http only on localhost), without fragment.",
    ),
    ("LOGIN_MAX_AGE", 601, " must be at most 600 seconds: OpenRouter's codes live no longer."),
    (
        "LOGIN_REDIRECT_URL",
        "chat",
        " must be a path such as /chat, or a full http or https address.",
    ),
    (
        "DISCONNECT_REDIRECT_URL",
        "//app.example",
        " must be a path such as /chat, or a full http or https address.",
    ),
    ("LANGUAGE", "it", " must be one of en, de, es, fr, ja, pt_BR, zh_Hans, or be left out."),
    ("REQUEST_TIMEOUT", "15s", " must be a number, such as 10, or be left out."),
    ("REQUEST_TIMEOUT", 0, " must be more than 0 seconds."),
    ("KEY_LABEL", "x" * 101, " must have at most 100 characters."),
    ("KEY_LIMIT", -1, " must be 0 or more USD, or be left out."),
    ("KEY_LIMIT", "$5", " must be a number, such as 10, or be left out."),
    ("BUDGET_LOW", 0, " must be more than 0 USD, or be left out."),
    ("WORKSPACE_ID", "mine", " must be a workspace's UUID, or be left out."),
    ("REQUIRED_WORKSPACE_ID", "mine", " must be a workspace's UUID, or be left out."),
    (
        "APP_URL",
        "app.example",
        " must be an absolute http(s) URL of plain ASCII characters, without user name and"
        " fragment",
    ),
    ("APP_TITLE", "Ünicode", " must be 1 to 200 printable ASCII characters"),
    (
        "APP_CATEGORIES",
        ["chat"],
        ": OpenRouter does not know 'chat'; choose from audio-gen, cli-agent, cloud-agent,"
        " creative-writing, game, general-chat, ide-extension, image-gen, legal,"
        " native-app-builder, personal-agent, programming-app, roleplay, video-gen,"
        " writing-assistant",
    ),
    (
        "BASE_URL",
        "openrouter.ai",
        ": The base URL must be an origin such as https://openrouter.ai, nothing more; did you"
        " mean https://openrouter.ai?",
    ),
    (
        "BASE_URL",
        "http://gateway.example",
        ": The base URL must use https; plain http is for localhost, 127.0.0.1 and [::1] only",
    ),
    (
        "BASE_URL",
        "http://127.0.0.1:18080",
        " is an http address on this machine. Run the app in debug or testing mode, set"
        " OPENROUTER_EMULATOR = True, or use https://openrouter.ai.",
    ),
    ("EMULATOR", "maybe", " must be True or False."),
    ("STORAGE_URI", True, f" {_TEXT}"),
    ("STORAGE_URI", "memory://keys", ": memory:// takes nothing behind the slashes."),
    (
        "STORAGE_URI",
        "sqlit:///keys.db",
        ": SQLAlchemy knows no database called 'sqlit'. Write, for example, sqlite:///keys.db,"
        " postgresql+psycopg://… or mysql+pymysql://…",
    ),
    (
        "STORAGE_URI",
        "redis://host?colour=red",
        ": This is no Redis URL that redis-py takes. Write it as"
        " redis://user:password@host:6379/0 (rediss:// for TLS), with special characters of the"
        " password percent-encoded.",
    ),
    (
        "ENCRYPTION_KEY_FALLBACKS",
        7,
        ' must be a list of keys, such as ["…", "…"] or "…, …" in an environment.',
    ),
    ("CALLBACK_URL", "/openrouter/callback", f" {_CALLBACK}"),
    ("CALLBACK_URL", True, f" {_TEXT}"),
    ("LOGIN_MAX_AGE", 0, " must be more than 0 seconds."),
    ("KEY_LABEL", True, f" {_TEXT}"),
    ("BUDGET_LOW", "$1", " must be a number, such as 10, or be left out."),
    ("APP_CATEGORIES", ["game", "legal", "roleplay"], ": OpenRouter takes at most 2"),
    ("BASE_URL", 7, " must be text."),
]

#: Flask's own settings, with the whole message.
REFUSED_OF_FLASK: list[tuple[str, Any, str]] = [
    ("SECRET_KEY", None, f"SECRET_KEY is not set. {_RANDOM}"),
    *(
        (
            "SECRET_KEY",
            weak,
            f"SECRET_KEY is too easy to guess. Use at least 16 random bytes. {_RANDOM}",
        )
        for weak in ("dev", "my-super-secret-key")
    ),
    (
        "SECRET_KEY",
        12345678901234567890,
        "SECRET_KEY must hold text or bytes, not a number. In an environment, quote digits twice:"
        f" FLASK_SECRET_KEY='\"1234…\"'. A random key is better. {_RANDOM}",
    ),
    (
        "SECRET_KEY_FALLBACKS",
        "the older key",
        "SECRET_KEY_FALLBACKS must be a list: a single string makes each letter a key."
        """ In an environment: FLASK_SECRET_KEY_FALLBACKS='["…"]'.""",
    ),
]
REFUSED_ARGUMENTS: list[tuple[str, Any, str]] = [
    ("storage", dict, "storage is the class dict: pass an object."),
    ("storage", {}, "storage (dict) lacks set(owner_id, ciphertext), delete(owner_id)."),
    (
        "encrypt",
        False,
        "encrypt=False needs a storage of your own that keeps secrets safe: pass storage=…",
    ),
    ("url_prefix", "/", "url_prefix must begin with one / and not end with it."),
]


def refused(config: dict[str, Any], **arguments: Any) -> str:
    """Return the message with which an app in production is refused."""
    app = Flask("documented")
    app.config.update({"SECRET_KEY": SECRET, **config})
    with pytest.raises(ConfigurationError) as raised:
        OpenRouterAuth(app, **arguments)
    return str(raised.value)


def test_every_setting_has_a_refused_value() -> None:
    assert {f"OPENROUTER_{name}" for name, _, _ in REFUSED} == names_in_the_code()


def test_a_wrong_setting_is_refused_with_this_message() -> None:
    for name, value, message in REFUSED:
        with case(name, value):
            assert refused({f"OPENROUTER_{name}": value}) == f"OPENROUTER_{name}{message}"


def test_a_wrong_secret_key_is_refused_with_this_message() -> None:
    for name, value, message in REFUSED_OF_FLASK:
        with case(name, value):
            assert refused({name: value}) == message


def test_a_wrong_argument_is_refused_with_this_message() -> None:
    for name, value, message in REFUSED_ARGUMENTS:
        with case(name, value):
            assert refused({}, **{name: value}) == message
