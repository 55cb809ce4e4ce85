"""Variables of the environment that the app did not read."""

from __future__ import annotations

from typing import Any

import pytest
from cases import case

BASE = {
    "OPENROUTER_STORAGE_URI": "redis://:hunter2@db",
    "FLASK_OPENROUTER_STORAGE_URI": "redis://:hunter2@db",
    "FLASK_OPENROUTER_KEY_LIMIT": "5",
    "OPENROUTER_ENCRYPTION_KEY": "hunter2",
    "FLASK_OPENROUTER_ENCRYPTION_KEY_FALLBACKS": '["hunter2"]',
    "OPENROUTER_CALLBACK_URL": "https://other.example/openrouter/callback",
    "FLASK_OPENROUTER_EMULATOR": "true",
    # Not a setting of the extension: misspelt, or the app's own.
    "FLASK_OPENROUTER_KEYLIMIT": "5",
    "FLASK_OPENROUTER_API_KEY": "hunter2",
}


def test_a_variable_that_was_not_read_is_a_warning(
    production: Any, diagnose: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    app = production()
    for name, value in BASE.items():
        with case(name), monkeypatch.context() as patch:
            patch.setenv(name, value)
            diagnosis = diagnose(app)
            assert diagnosis.bad == {"variable_not_read": "warning"}
            diagnosis.says("variable_not_read", f"{name} is set", "from_prefixed_env()")
            assert "hunter2" not in diagnosis.text
            assert "other.example" not in diagnosis.text


def test_a_variable_that_was_read_is_no_alarm(
    production: Any, diagnose: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As a text, as JSON, or converted by the app."""
    for name, text, value in [
        ("OPENROUTER_APP_TITLE", "An app", "An app"),
        ("FLASK_OPENROUTER_APP_TITLE", '"An app"', "An app"),
        ("FLASK_OPENROUTER_KEY_LIMIT", "5", 5),
        ("OPENROUTER_KEY_LIMIT", "5 USD", 5.0),
        ("FLASK_OPENROUTER_APP_CATEGORIES", '["general-chat"]', ["general-chat"]),
        ("OPENROUTER_APP_CATEGORIES", "general-chat, game", ["general-chat", "game"]),
        ("FLASK_OPENROUTER_EMULATOR", "false", False),
        ("OPENROUTER_EMULATOR", "no", False),
        ("OPENROUTER_APP_TITLE", "", None),
        ("FLASK_OPENROUTER_MODEL", "a model", "a model"),
    ]:
        with case(name, text), monkeypatch.context() as patch:
            patch.setenv(name, text)
            app = production(**{name.removeprefix("FLASK_"): value})
            assert diagnose(app).bad == {}


def test_other_variables_are_no_alarm(
    production: Any, diagnose: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The API key belongs to another program, and is never read."""
    for name in (
        *("OPENROUTER_API_KEY", "OPENROUTER_MODEL", "MY_OPENROUTER_URL"),
        *("FLASK_SECRET_KEY", "FLASK_OPENROUTER__KEY_LIMIT"),
    ):
        monkeypatch.setenv(name, "hunter2")
    assert diagnose(production()).bad == {}


def test_another_value_is_a_warning(
    production: Any, diagnose: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, text, value in [
        ("APP_CATEGORIES", '["game"]', ["general-chat"]),
        ("APP_CATEGORIES", "game", ["general-chat"]),
        ("APP_CATEGORIES", "game", []),
        ("APP_TITLE", "Another app", "An app"),
        ("KEY_LIMIT", "5", 6),
    ]:
        with case(name, text), monkeypatch.context() as patch:
            patch.setenv(f"FLASK_OPENROUTER_{name}", text)
            app = production(**{f"OPENROUTER_{name}": value})
            assert diagnose(app).bad == {"variable_not_read": "warning"}
