"""docs/settings.md has the names, defaults and exact error messages of the code."""

from __future__ import annotations

import inspect
from datetime import timedelta
from typing import Any

import pytest
from cases import case
from flask import Flask
from settings_page import (
    PAGE,
    SECRET,
    default_of,
    entries,
    names_in_the_code,
    refusals,
    rows_of,
)

from flask_openrouter import OpenRouterAuth
from flask_openrouter.errors import ConfigurationError

ENTRIES = entries()
FLASK = rows_of("Flask's own settings")
ARGUMENTS = rows_of("Arguments of OpenRouterAuth")


def value_of(text: str) -> Any:
    """Return the value that the page writes in Python."""
    return eval(text, {"timedelta": timedelta})  # noqa: S307 - our own documentation


def refused(config: dict[str, Any], arguments: dict[str, Any] | None = None) -> str:
    """Return the message with which an app in production is refused."""
    app = Flask("documented")
    app.config.update({"SECRET_KEY": SECRET, **config})
    with pytest.raises(ConfigurationError) as raised:
        OpenRouterAuth(app, **(arguments or {}))
    return str(raised.value)


def test_every_setting_has_one_entry() -> None:
    assert sorted(entry.name for entry in ENTRIES) == sorted(names_in_the_code())


def test_the_defaults_are_those_of_the_code() -> None:
    for entry in ENTRIES:
        derived = entry.default == "derived from `SECRET_KEY`"
        default = None if derived else value_of(entry.default.strip("`"))
        assert default == default_of(entry.name), entry.name


def test_every_entry_names_refused_values_with_their_messages() -> None:
    for entry in ENTRIES:
        assert refusals(entry.text), entry.name
        for value, message in refusals(entry.text):
            with case(entry.name, value):
                assert refused({entry.name: value_of(value)}) == message


_CALLBACK = (
    "must be the full https address of the callback route, such as"
    " https://app.example/openrouter/callback (http only on localhost), without fragment."
)
_TEXT = "must be text on one line, or be left out."


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
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
        ("BUDGET_LOW", "$1", " must be a number."),
        ("APP_CATEGORIES", ["game", "legal", "roleplay"], ": OpenRouter takes at most 2"),
        ("BASE_URL", 7, " must be text."),
    ],
)
def test_other_refused_values_have_these_messages(name: str, value: Any, message: str) -> None:
    """The page shows one example per kind of mistake. These are the others."""
    assert refused({f"OPENROUTER_{name}": value}) == f"OPENROUTER_{name}{message}"


# -- Flask's own ------------------------------------------------------------------------------


def test_the_table_of_flask_settings_is_true() -> None:
    config = Flask("documented").config
    for name, default, meaning in FLASK:
        name = name.strip("`")
        if default != "required":
            assert value_of(default.strip("`")) == config[name], name
        assert meaning
    named = {row[0].strip("`") for row in FLASK}
    cookie = {name for name in config if name.startswith("SESSION_COOKIE_")}
    assert named >= cookie - {"SESSION_COOKIE_PARTITIONED"}


def test_refused_secret_keys_have_these_messages() -> None:
    rows = refusals(PAGE.partition("\n## Flask's own settings\n")[2])[:5]
    assert len(rows) == 5
    for assignment, message in rows:
        with case(assignment):
            name, _, value = assignment.partition(" = ")
            assert name in ("SECRET_KEY", "SECRET_KEY_FALLBACKS")
            assert refused({name: value_of(value)}) == message


# -- arguments --------------------------------------------------------------------------------


def test_every_argument_is_in_the_table_with_its_default() -> None:
    parameters = dict(inspect.signature(OpenRouterAuth).parameters)
    clock = parameters["clock"].default
    assert abs(clock() - value_of("__import__('time').time()")) < 5
    documented = {name.strip("`"): default.strip("`") for name, default, _ in ARGUMENTS}
    assert documented.pop("clock") == "time.time"
    del parameters["clock"]
    assert {name: value_of(default) for name, default in documented.items()} == {
        name: parameter.default for name, parameter in parameters.items()
    }


def test_refused_arguments_have_these_messages() -> None:
    rows = refusals(PAGE.partition("\n## Arguments of OpenRouterAuth\n")[2])
    assert rows
    for argument, message in rows:
        with case(argument):
            name, _, value = argument.partition("=")
            assert refused({}, {name: value_of(value)}) == message


def test_the_decorators_that_are_named_exist() -> None:
    for name in ("owner_loader", "unauthorized_handler", "key_options"):
        assert f"`@auth.{name}`" in PAGE
        assert callable(getattr(OpenRouterAuth, name))
